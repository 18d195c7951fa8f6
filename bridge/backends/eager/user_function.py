"""Functions that users wrote, called for each trial as Brian2's numpy target calls them."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirrorneuron.errors import GradientError

from ...draws import Sites
from ...program import UserFunction
from .functions import Functions, Value


class _User(torch.autograd.Function):
    """A user's function: values by numpy, gradient by what was registered for torch."""

    @staticmethod
    def forward(ctx: Any, function: UserFunction, value: Tensor, *args: Any) -> Tensor:
        ctx.function = function
        ctx.save_for_backward(*args)
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        needs = ctx.needs_input_grad[2:]
        with torch.enable_grad():
            args = [
                x.detach().requires_grad_(need)
                for x, need in zip(ctx.saved_tensors, needs, strict=True)
            ]
            value = ctx.function.torch(*args)
            wanted = [x for x in args if x.requires_grad]
            given = grads[0].sum_to_size(value.shape)
            found = iter(torch.autograd.grad(value, wanted, given, allow_unused=True))
        return None, None, *(next(found) if need else None for need in needs)


def call_user(
    function: UserFunction,
    whole: tuple[int, ...],
    args: Sequence[Value],
    f: Functions,
    streams: Sequence[np.random.RandomState],
    sites: Sites | None = None,
) -> Tensor:
    """Value of a user's function.

    Where numbers have to be those of Brian2, or nothing is registered for torch, it is what
    Brian2's numpy target calls, trial by trial.

    Arguments:
        function: The function.
        whole: Which arguments are whole numbers for Brian2.
        args: Numbers, or tensors whose last axis runs over elements.
        f: Type and device of the values.
        streams: Random numbers of each trial.
        sites: The elements for which Brian2 calls it, where these are not all: what it draws, it
            draws for them.

    Raises:
        GradientError: The gradient has to pass, and nothing is registered for torch.
    """
    tensors = [f.tensor(x) for x in args]
    follows = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    if follows and function.torch is None:
        raise GradientError(
            f"run(...): the gradient has to pass through {function.name}(), of which only Python"
            " code for numpy is known. Register the same for tensors:"
            f" mn.register({function.name}, lambda ...: ...)."
        )
    if function.torch is not None and not f.exact:
        return function.torch(*tensors)
    arrays = [x.detach().cpu().numpy() for x in tensors]
    for k in whole:
        arrays[k] = arrays[k].astype(np.int32)
    value = torch.from_numpy(_values(function, arrays, streams, sites)).to(f.device)
    value = value if value.dtype == torch.bool else value.to(f.dtype)
    return _User.apply(function, value, *tensors) if follows else value


def _values(
    function: UserFunction,
    arrays: Sequence[Any],
    streams: Sequence[np.random.RandomState],
    sites: Sites | None,
) -> Any:
    """Values of each trial, "batch element"; those at `sites` by a call for them alone."""
    if sites is None:
        rows = [
            _call_with(stream, function, [_of_trial(x, b) for x in arrays])
            for b, stream in enumerate(streams)
        ]
        return np.stack(rows)
    if len(sites.shape) == 1:  # a list of synapses of all trials
        everywhere = _call_with(deepcopy(streams[0]), function, arrays)
    else:
        everywhere = _values(function, arrays, deepcopy(streams), None)
    found = np.broadcast_to(everywhere, sites.shape).copy()
    for b, stream in enumerate(streams):
        place = sites.place[sites.batch == b]
        if len(place):
            own = [
                x if x.ndim == 0 else np.broadcast_to(x, sites.shape).flat[place] for x in arrays
            ]
            found.flat[place] = _call_with(stream, function, own)
    return found


def _call_with(stream: np.random.RandomState, function: UserFunction, args: Sequence[Any]) -> Any:
    """Value of a function that finds a trial's stream in the place of numpy's own."""
    own = np.random.get_state()
    np.random.set_state(stream.get_state())
    try:
        return np.atleast_1d(function.numpy(*(x if x.ndim else x.item() for x in args)))
    finally:
        stream.set_state(np.random.get_state())
        np.random.set_state(own)


def _of_trial(x: Any, trial: int) -> Any:
    """Values of one trial, along one axis."""
    return x[min(trial, len(x) - 1)] if x.ndim == 2 else x
