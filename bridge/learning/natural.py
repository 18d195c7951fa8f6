"""Natural: run any torch optimiser in coordinates in which all parameters are of size one.

A weight may be 1e-9 S and a rate 100 Hz, and an optimiser that builds one picture of the loss for
all parameters, such as L-BFGS, needs them alike. Positive parameters are optimised as logarithms,
the others divided by their size at the start.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mirrorneuron.bridge.mirror import Mirror
from mirrorneuron.bridge.parameter import Positive
from mirrorneuron.errors import DomainError

Closure = Callable[[], Tensor]


class Natural:
    """An optimiser over natural coordinates, to be given to `fit`.

    Arguments:
        model: Its parameters are set from the coordinates.
        make: Makes the torch optimiser from the list of coordinates.

    Raises:
        DomainError: A positive parameter starts at zero or below.

    Example:
        >>> from torch.optim import LBFGS
        >>> def make(coordinates):
        ...     search = "strong_wolfe"
        ...     return LBFGS(coordinates, max_iter=1, max_eval=20, line_search_fn=search)
        >>> # mn.fit(model, task, optimizer=mn.Natural(model, make), steps=20)
    """

    def __init__(self, model: Mirror, make: Callable[[list[Tensor]], Optimizer]) -> None:
        self.model = model
        self.sizes = model.sizes()
        self.logarithmic = {k for k, limit in model.limits.items() if isinstance(limit, Positive)}
        for key in self.logarithmic:
            _require_positive(key, model.parameter(key))
        self.coordinates = {k: self._natural(k).clone().requires_grad_() for k in model.limits}
        self.inner = make(list(self.coordinates.values()))

    def step(self, closure: Closure | None = None) -> None:
        """One step of the inner optimiser; `closure` computes the gradients of the parameters."""
        self._take_over()
        if closure is None:
            self._follow()
            self.inner.step()
        else:
            self.inner.step(lambda: self._evaluate(closure))  # pyright: ignore
        self._set()
        self._stay_within()

    def zero_grad(self) -> None:
        """Clear the gradients of parameters and coordinates."""
        self.model.zero_grad()
        self.inner.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """State of the inner optimiser, and the coordinates themselves."""
        values = {key: x.detach().clone() for key, x in self.coordinates.items()}
        return {"inner": self.inner.state_dict(), "coordinates": values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; the parameters come from the model's own."""
        self.inner.load_state_dict(state["inner"])
        with torch.no_grad():
            for key, x in self.coordinates.items():
                x.copy_(state["coordinates"][key])

    def _evaluate(self, closure: Closure) -> Tensor:
        self._set()
        loss = closure()
        self._follow()
        return loss

    @torch.no_grad()
    def _set(self) -> None:
        for key in self.coordinates:
            self.model.parameter(key).copy_(self._value(key))

    @torch.no_grad()
    def _stay_within(self) -> None:
        """Move parameters back into their limits, and their coordinates with them."""
        self.model.project_()
        self._take_over()

    @torch.no_grad()
    def _take_over(self) -> None:
        """Coordinates of the parameters that something else has moved: a limit, or a rule."""
        for key, x in self.coordinates.items():
            moved = self.model.parameter(key) != self._value(key)
            x.copy_(torch.where(moved, self._natural(key), x))

    def _value(self, key: str) -> Tensor:
        """The parameter that a coordinate means."""
        x = self.coordinates[key]
        return x.exp() if key in self.logarithmic else x * self.sizes[key]

    def _natural(self, key: str) -> Tensor:
        """The coordinate of a parameter."""
        value = self.model.parameter(key).detach()
        return value.log() if key in self.logarithmic else value / self.sizes[key]

    def _follow(self) -> None:
        """Gradients of the coordinates, by the chain rule."""
        for key, x in self.coordinates.items():
            parameter = self.model.parameter(key)
            slope = parameter.detach() if key in self.logarithmic else self.sizes[key]
            x.grad = None if parameter.grad is None else parameter.grad * slope


def _require_positive(key: str, value: Tensor) -> None:
    bad = torch.nonzero(~(value.detach().reshape(-1) > 0)).flatten()
    if len(bad):
        first = int(bad[0])
        raise DomainError(
            f"mn.Natural(model, ...): {key} is {value.detach().reshape(-1)[first].item():g} at"
            f" element {first}, and train calls it mn.Positive(). A positive parameter is"
            " optimised as its logarithm. Start it above zero, or give it mn.Bounded(...)."
        )
