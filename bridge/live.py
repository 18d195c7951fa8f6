"""Live: a tensor in SI units that reads from, and writes to, what an optimiser sees.

It is what `Mirror.parameter` returns. Every operation on it starts from the present value, and
those that change it in place change the model. What an operation returns is an ordinary tensor,
or, where that shares memory with the parameter as a slice or a view does, live as well.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from mirrorneuron.errors import GradientError

IN_PLACE = {
    f"__{name}__"
    for name in (
        *("setitem", "iadd", "isub", "imul", "itruediv", "ifloordiv"),
        *("imod", "ipow", "iand", "ior", "ixor", "ilshift", "irshift"),
    )
}
HOOKS = ("register_hook", "register_post_accumulate_grad_hook")


class Source(ABC):
    """Where a live tensor reads and writes."""

    @abstractmethod
    def read(self) -> Tensor:
        """The present value, an ordinary tensor of its own."""

    @abstractmethod
    def write(self, value: Tensor) -> None:
        """Change it."""


class Trained(Source):
    """A trained variable, which has a gradient."""

    key: str

    @property
    @abstractmethod
    def raw(self) -> Tensor:
        """The optimised value."""

    @abstractmethod
    def slope(self) -> Tensor:
        """Derivative of the value in SI units with respect to the optimised one."""


@dataclass(frozen=True)
class Part(Source):
    """What an operation that shares memory makes of a live tensor."""

    whole: Source
    view: Callable[[Tensor], Tensor]

    def read(self) -> Tensor:
        """See `Source.read`."""
        return self.view(self.whole.read())

    def write(self, value: Tensor) -> None:
        """See `Source.write`."""
        full = self.whole.read().detach()
        self.view(full).copy_(value)
        self.whole.write(full)


@dataclass(frozen=True)
class Gradient(Source):
    """The gradient with respect to a value in SI units, from that of the optimised one."""

    of_raw: Tensor
    slope: Tensor

    def read(self) -> Tensor:
        """See `Source.read`."""
        return self.of_raw / self.slope

    @torch.no_grad()
    def write(self, value: Tensor) -> None:
        """See `Source.write`."""
        self.of_raw.copy_(value * self.slope)


class Live(Tensor):
    """A tensor that belongs to a model: see the module's docstring."""

    source: Source

    @staticmethod
    def of(source: Source) -> "Live":
        """The live tensor of a source."""
        made = source.read().as_subclass(Live)
        made.source = source
        return made

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Carry an operation out on the present values."""
        kwargs = dict(kwargs or {})
        if func is torch.autograd.grad:
            return _autograd_grad(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if isinstance(kwargs.get("out"), Live):
            out = kwargs.pop("out")
            return out.copy_(func(*_read(args), **_read(kwargs)))
        first = args[0] if args else kwargs.get("tensor")  # torch.nn.init gives it by this name
        in_place = name in IN_PLACE or (name.endswith("_") and not name.startswith("__"))
        if in_place and isinstance(first, list | tuple):
            return _change_each(func, cast(list[Any], first), args, kwargs)
        if isinstance(first, Live):
            if in_place:
                return _change(func, name, first, args, kwargs)
            if name in HOOKS:
                raise GradientError(
                    f"model.parameter(...).{name}(...): what model.parameter gives is computed"
                    " from the optimised value, so that a hook on it would never be called. Write"
                    " it for the tensors of model.named_parameters()."
                )
            return _apply(func, name, first, args, kwargs)
        return func(*_read(args), **_read(kwargs))

    @property
    def grad(self) -> "Live | None":  # pyright: ignore[reportIncompatibleVariableOverride]
        """Gradient with respect to the value in SI units."""
        source = self.source
        if not isinstance(source, Trained) or source.raw.grad is None:
            return None
        with torch.no_grad():
            return Live.of(Gradient(source.raw.grad, source.slope()))

    @grad.setter
    @torch.no_grad()
    def grad(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, value: Tensor | None
    ) -> None:
        source = _trained(self, "grad")
        source.raw.grad = None if value is None else value.detach() * source.slope()

    @property
    def requires_grad(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether gradients are computed for it."""
        return self.source.read().requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        _trained(self, "requires_grad").raw.requires_grad_(value)

    @property
    def data(self) -> "Live":  # pyright: ignore[reportIncompatibleVariableOverride]
        """The values, without gradient."""
        return cast(Live, self.detach())

    @data.setter
    def data(self, value: Tensor) -> None:
        self.source.write(value)

    def __iter__(self) -> Any:
        return iter(self.unbind(0))

    def __hash__(self) -> int:
        return id(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        present = self.source.read()
        return present.detach().requires_grad_(present.requires_grad)


def _trained(live: Live, attribute: str) -> Trained:
    """The source of a whole parameter."""
    if not isinstance(live.source, Trained):
        raise GradientError(
            f"{attribute} of a part of a parameter cannot be set, as it belongs to the whole. Set"
            f" model.parameter(...).{attribute}."
        )
    return live.source


def _read(thing: Any) -> Any:
    """Arguments with present values in place of live tensors."""
    if isinstance(thing, Live):
        return thing.source.read()
    if isinstance(thing, list | tuple):
        items = [_read(item) for item in cast(list[Any], thing)]
        kind: Any = type(cast(Any, thing))
        return kind(*items) if hasattr(kind, "_fields") else kind(items)
    if isinstance(thing, dict):
        return {key: _read(item) for key, item in cast(dict[Any, Any], thing).items()}
    return thing


def _change(
    func: Any, name: str, live: Live, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    """Carry out an operation in place."""
    if name == "requires_grad_":
        live.requires_grad = _read(args[1:])[0] if args[1:] else kwargs.get("requires_grad", True)
        return live
    present = live.source.read()
    initialises = getattr(func, "__module__", "") == "torch.nn.init"  # which records nothing
    if present.requires_grad and torch.is_grad_enabled() and not initialises:
        raise GradientError(
            f"model.parameter(...).{name}(...): a parameter that requires a gradient cannot be"
            " changed in place while torch records, as the change would be part of the gradient."
            " Write it under `with torch.no_grad():`."
        )
    with torch.no_grad():
        value = present.detach()
        if args:
            func(value, *_read(args[1:]), **_read(kwargs))
        else:
            func(**_read({**kwargs, "tensor": value}))
        live.source.write(value)
    return live


def _change_each(
    func: Any, tensors: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Carry out an operation in place on several tensors, as optimisers do."""
    values = [x.source.read().detach() if isinstance(x, Live) else x for x in tensors]
    func(values, *_read(args[1:]), **_read(kwargs))
    for x, value in zip(tensors, values, strict=True):
        if isinstance(x, Live):
            x.source.write(value)


def _apply(func: Any, name: str, live: Live, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Carry out an operation that changes nothing."""
    present = live.source.read()
    rest, named = _read(args[1:]), _read(kwargs)
    given = (present,) if args else ()
    found = func(*given, *rest, **(named if args else {**named, "tensor": present}))
    if name in ("numpy", "__array__") and found.dtype != object:
        found.flags.writeable = False  # what is written there would be lost
    memory = present.untyped_storage().data_ptr() if present.numel() else 0

    def alive(x: Any, view: Callable[[Tensor], Tensor]) -> Any:
        shares = isinstance(x, Tensor) and memory and x.untyped_storage().data_ptr() == memory
        return Live.of(Part(live.source, view)) if shares else x

    if isinstance(found, tuple | list):
        parts = (
            alive(x, lambda whole, k=k: func(whole, *rest, **named)[k])
            for k, x in enumerate(cast(list[Any], found))
        )
        return type(cast(Any, found))(parts) if type(found) in (tuple, list) else found
    return alive(found, lambda whole: func(whole, *rest, **named))


def _autograd_grad(outputs: Any, inputs: tuple[Tensor, ...], **options: Any) -> Any:
    """`torch.autograd.grad` with respect to values in SI units."""
    sources = [x.source if isinstance(x, Live) else None for x in inputs]
    by = tuple(
        source.raw if isinstance(source, Trained) else _read(x)
        for source, x in zip(sources, inputs, strict=True)
    )
    found: Any = torch.autograd.grad(_read(outputs), by, **_read(options))
    with torch.set_grad_enabled(bool(options["create_graph"])):
        return tuple(
            x / source.slope() if isinstance(source, Trained) and x is not None else x
            for source, x in zip(sources, found, strict=True)
        )
