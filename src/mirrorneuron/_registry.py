"""Registry: a file in a folder is the registration."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from .errors import MirrorNeuronError, UnknownName

T = TypeVar("T")


class RegistryError(MirrorNeuronError, TypeError):
    """A file in a family's folder that does not provide what the family asks for."""


class Registry(Mapping[str, T], Generic[T]):
    """What the modules of a package provide, by the module's name.

    A module provides one object: an instance or a concrete subclass of the contract that it
    defines itself. A subfolder is an entry where its `__init__` provides one, else a group of
    entries, whose names are unique all the same. What starts with `_`, a module or a folder, is
    not part of the family. Modules are imported when the registry is first used.

    Arguments:
        package: Name of the package whose modules are the family.
        contract: The class that they share.

    Raises:
        RegistryError: On first use, when a module provides nothing or more than one thing, or two
            modules have the same name.
    """

    def __init__(self, package: str, contract: type[Any]) -> None:
        self.package, self.contract = package, contract
        self._found: dict[str, T] | None = None

    def __getitem__(self, name: str) -> T:
        found = self._all()
        if name not in found:
            family = self.package.rpartition(".")[2]
            error = UnknownName.among(f"{family}[{name!r}]", name, found)
            raise UnknownName(f"{error} A new one is a file in {family}/.")
        return found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, T]:
        if self._found is None:
            found: dict[str, T] = {}
            for module in self._modules(self.package):
                name = module.__name__.rpartition(".")[2]
                if name in found:
                    raise RegistryError(
                        f"{module.__name__} has the name of another entry of {self.package}."
                        " Rename the file: an entry is known by the name of its module."
                    )
                found[name] = self._provided(module)
            self._found = {name: found[name] for name in sorted(found)}
        return self._found

    def _modules(self, package: str) -> Iterator[ModuleType]:
        """Modules of a package, and of the folders in it that are no entry themselves."""
        for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if found.name.startswith("_"):
                continue
            module = importlib.import_module(f"{package}.{found.name}")
            if found.ispkg and not self._things(module):
                yield from self._modules(module.__name__)
            else:
                yield module

    def _things(self, module: ModuleType) -> list[object]:
        """What a module provides."""
        return [thing for name, thing in vars(module).items() if self._fits(name, thing, module)]

    def _provided(self, module: ModuleType) -> T:
        things = self._things(module)
        if len(things) != 1:
            raise RegistryError(
                f"{module.__name__} provides {len(things)} objects of the kind"
                f" {self.contract.__name__}. A file is one entry of the registry. Define exactly"
                " one, or start the name of the file with an underscore."
            )
        return cast(T, things[0])

    def _fits(self, name: str, thing: object, module: ModuleType) -> bool:
        if name.startswith("_"):
            return False
        if isinstance(thing, type):
            return issubclass(thing, self.contract) and thing.__module__ == module.__name__
        return isinstance(thing, self.contract)
