"""Finite: a state that holds a value that is no number is noticed, and said where."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mirrorneuron.errors import NumericalError

CHUNK = 100  # steps between two looks


def require_finite(state: Mapping[str, Any], k: int, dt: float) -> None:
    """Refuse values that are NaN or infinite.

    Arguments:
        state: The network's state after step k of a run.
        k: The step.
        dt: Time step [s].

    Raises:
        NumericalError: Names the variable, the element, the trial and the time.
    """
    for key, value in state.items():
        if not isinstance(value, Tensor) or bool(torch.isfinite(value).all()):
            continue
        trial, element = (int(i) for i in torch.nonzero(~torch.isfinite(value))[0])
        first = max(0, k + 1 - CHUNK)
        low, high = (x * dt * 1e3 for x in (first, k + 1))
        raise NumericalError(
            f"run(...): {key} of element {element} (trial {trial}) became"
            f" {value[trial, element].item()} between {low:g} and {high:g} ms after the start"
            f" (steps {first} to {k}). The integrator left its range of stability, or an"
            " expression was divided by zero. Lower dt, or use another method."
        )
