"""Holder: a module whose parameters are of size one, and whose `state_dict` is in SI units."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from mirrorneuron.errors import DomainError, ShapeError
from mirrorneuron.units import Dimensions

from .live import Trained
from .parameter import Limit
from .scaling import Logarithmic, Scaling


@dataclass(eq=False)
class Held(Trained):
    """A trained variable.

    Arguments:
        key: Its name in the model.
        place, name: The parameters of the module that holds it, and its name among them.
        scaling: What its optimised value means, and how far it goes.
    """

    key: str
    place: Mapping[str, nn.Parameter | None]
    name: str
    scaling: Scaling

    @property
    def raw(self) -> nn.Parameter:
        """The optimised value."""
        return cast(nn.Parameter, self.place[self.name])

    def read(self) -> Tensor:
        """The value in SI units, within its limits, differentiable."""
        self.stay_within()
        return self.scaling.value(self.raw)

    def slope(self) -> Tensor:
        """Derivative of the value with respect to the optimised one."""
        return self.scaling.slope(self.raw)

    @torch.no_grad()
    def write(self, value: Tensor) -> None:
        """Set the value in SI units.

        Raises:
            ShapeError: It has another shape.
            DomainError: The limit has no room for it.
        """
        raw = self.raw
        if value.shape != raw.shape:
            raise ShapeError(
                f"parameter({self.key!r}): a value of shape {tuple(value.shape)} was given for a"
                f" parameter of shape {tuple(raw.shape)}. A parameter keeps its shape. Give one"
                " value for each element."
            )
        raw.copy_(self.optimised(value))
        self.stay_within()

    @torch.no_grad()
    def begin_at(self, value: Tensor, limit: Limit, unit: Dimensions) -> None:
        """Take another value in SI units for the one before training, which gives the size.

        Arguments:
            value: Of the same shape, finite.
            limit: What it may become.
            unit: Its dimensions.
        """
        low, high = limit.bounds(self.read(), unit)
        self.scaling = limit.scaling(self.key, value.clamp(min=low).clamp(max=high), unit)  # pyright: ignore
        self.write(value)

    def optimised(self, value: Tensor) -> Tensor:
        """The optimised value for a value in SI units, which is to take its place.

        Raises:
            DomainError: It is not finite.
        """
        if not bool(torch.isfinite(value).all()):
            raise DomainError(
                f"parameter({self.key!r}): a value was given that is NaN or infinite, with which no"
                " network runs. The parameter was left as it is. Give finite values."
            )
        return self.scaling.take(value.detach().to(self.raw))

    @torch.no_grad()
    def stay_within(self) -> None:
        """Move the value back into its limits, if it left them."""
        allowed = self.scaling.within(self.raw)
        if bool(((self.raw < allowed) | (self.raw > allowed)).any()):
            self.raw.copy_(allowed)

    @torch.no_grad()
    def drop_outward_gradient(self) -> None:
        """Set the gradient to zero where descent would leave the limits."""
        raw, grad = self.raw, self.raw.grad
        if grad is None:
            return
        next_one = torch.nextafter(raw, torch.where(grad > 0, -torch.inf, torch.inf).to(raw))
        grad.masked_fill_(self.scaling.within(next_one) != next_one, 0)

    def exact(self) -> tuple[Tensor, Tensor]:
        """The optimised value, and the reference that it is measured against."""
        scaling = self.scaling
        reference = scaling.reference if isinstance(scaling, Logarithmic) else torch.zeros(0)
        return self.raw.detach().clone(), reference.clone()

    @contextmanager
    def lent(self) -> Generator[None]:
        """Give value and gradient back as they were, to the last bit; meanwhile there is no limit.

        A value in SI units that is written may get another reference: it belongs to the value.
        """
        exact, gradient = self.exact(), self.raw.grad
        with self.scaling.unlimited():
            try:
                yield
            finally:
                self.restore(exact)
                self.raw.grad = gradient

    @torch.no_grad()
    def restore(self, exact: tuple[Tensor, Tensor]) -> None:
        """Go back to what `exact` gave."""
        raw, reference = exact
        if isinstance(self.scaling, Logarithmic):
            self.scaling.reference = reference.to(self.raw)
        self.raw.copy_(raw)


class Holder(nn.Module):
    """Holds trained variables by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, Held] = {}

    def hold(
        self, key: str, name: str, value: Tensor, limit: Limit | Any, unit: Dimensions
    ) -> Held:
        """Add a trained variable.

        Arguments:
            key: Its name in the model.
            name: Its name here.
            value: In SI units.
            limit: What it may become.
            unit: Its dimensions.

        Raises:
            DomainError: The limit is none.
        """
        if not isinstance(limit, Limit):
            raise DomainError(
                f"mirror(net, train={{{key!r}: {limit!r}}}): that is no limit. Write"
                f" {{{key!r}: mn.Positive()}}, mn.Bounded(low, high), mn.Sign() or mn.Free(), with"
                f" brackets, or a list of names, train=[{key!r}], for the usual ones."
            )
        scaling = limit.scaling(key, value, unit)
        # A variable may have the name of a part of the module: register_parameter would refuse it.
        self._parameters[name] = nn.Parameter(scaling.take(value))
        self.held[name] = Held(key, self._parameters, name, scaling)
        return self.held[name]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        for held in self.held.values():
            held.scaling.convert(fn)
        return self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, held in self.held.items():
            value = held.read()
            destination[prefix + name] = value if keep_vars else value.detach()

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        state = dict(state_dict)
        for name, held in self.held.items():
            value = state.get(prefix + name)
            if isinstance(value, Tensor) and _fits(value, held.raw):
                state[prefix + name] = held.optimised(value.reshape(held.raw.shape))
        super()._load_from_state_dict(
            state, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        for held in self.held.values():
            held.stay_within()


def _fits(value: Tensor, raw: Tensor) -> bool:
    """Whether torch loads a value: of the same shape, or a row of one for a single number."""
    return value.shape == raw.shape or (raw.dim() == 0 and value.shape == (1,))
