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

Closure = Callable[[], Tensor]


class Natural:
    """An optimiser over natural coordinates, to be given to `fit`.

    Arguments:
        model: Its parameters are set from the coordinates.
        make: Makes the torch optimiser from the list of coordinates.

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
        self.coordinates = {key: self._coordinate(key) for key in model.limits}
        self.inner = make(list(self.coordinates.values()))

    def _coordinate(self, key: str) -> Tensor:
        value = self.model.parameter(key).detach()
        natural = value.log() if key in self.logarithmic else value / self.sizes[key]
        return natural.clone().requires_grad_()

    def step(self, closure: Closure | None = None) -> None:
        """One step of the inner optimiser; `closure` computes the gradients of the parameters."""
        if closure is None:
            self._follow()
            self.inner.step()
        else:
            self.inner.step(lambda: self._evaluate(closure))  # pyright: ignore[reportArgumentType]
        self._set()

    def zero_grad(self) -> None:
        """Clear the gradients of parameters and coordinates."""
        self.model.zero_grad()
        self.inner.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """State of the inner optimiser, and the coordinates themselves."""
        values = {key: x.detach().clone() for key, x in self.coordinates.items()}
        return {"inner": self.inner.state_dict(), "coordinates": values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.inner.load_state_dict(state["inner"])
        with torch.no_grad():
            for key, x in self.coordinates.items():
                x.copy_(state["coordinates"][key])
        self._set()

    def _evaluate(self, closure: Closure) -> Tensor:
        self._set()
        loss = closure()
        self._follow()
        return loss

    @torch.no_grad()
    def _set(self) -> None:
        for key, x in self.coordinates.items():
            value = x.exp() if key in self.logarithmic else x * self.sizes[key]
            self.model.parameter(key).copy_(value)

    def _follow(self) -> None:
        """Gradients of the coordinates, by the chain rule."""
        for key, x in self.coordinates.items():
            parameter = self.model.parameter(key)
            slope = parameter.detach() if key in self.logarithmic else self.sizes[key]
            x.grad = None if parameter.grad is None else parameter.grad * slope
