"""Written: what a write-back changed, and what it could not."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from mirrorneuron._arguments import checked


@checked
class Written(list[str]):
    """Keys of the parameters that were written into the network.

    Arguments:
        keys: Their names.
        stale: Names of the script whose own value is no longer that of the network, to both values
            as text. A write-back changes Brian2 objects, never the variables of a script.
        rounded: Trained delays, to what rounding them to Brian2's steps changed, as text.

    Example:
        >>> Written(["tau_e"], {"tau_e": "5. ms, in the network 6. ms"})
        ['tau_e']; still in the script: tau_e = 5. ms, in the network 6. ms
    """

    def __init__(
        self,
        keys: Iterable[str],
        stale: Mapping[str, str],
        rounded: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(keys)
        self.stale, self.rounded = dict(stale), dict(rounded)

    def __repr__(self) -> str:
        parts = [super().__repr__(), *(f"{key} {text}" for key, text in self.rounded.items())]
        if self.stale:
            listed = "; ".join(f"{name} = {values}" for name, values in self.stale.items())
            parts.append(f"still in the script: {listed}")
        return "; ".join(parts)

    __str__ = __repr__
