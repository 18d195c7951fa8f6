"""Targets as people have them: quantities, tensors, spike monitors, lists of spikes."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._arrays import require_finite
from mirrorneuron.errors import DomainError, ShapeError
from mirrorneuron.units import Dimensions, si

from ..learning._contracts import Trial
from ..program import Array

SECOND = Dimensions(s=1.0)
HERTZ = Dimensions(s=-1.0)


def named(given: Any, asked: str) -> str:
    """The name of a group, given itself, or that of what a monitor observes.

    Raises:
        DomainError: It is neither a name nor a Brian2 object.
    """
    if isinstance(given, str):
        return given
    seen = given.source if hasattr(given, "record") and hasattr(given, "source") else given
    name: Any = getattr(seen, "name", None)
    if not isinstance(name, str):
        raise DomainError(
            f"{asked}: the group is a {type(given).__name__}, but a loss looks at one group, by its"
            " name. Write, say, 'E', or a mapping from groups to targets where a loss takes one."
        )
    return name


def plain(value: Any, unit: Dimensions, what: str) -> Array:
    """A target in SI units; a tensor already is.

    Raises:
        UnitError: It has another unit.
        DomainError: It is no number.
    """
    if isinstance(value, Tensor):
        return value.detach().cpu().double().numpy()
    return si(value, unit, what)


def time(value: Any, what: str) -> float:
    """A time that is not negative, in seconds.

    Raises:
        UnitError: It is no time.
        DomainError: It is not one finite time, or negative.
    """
    seconds = si(value, SECOND, what)
    if seconds.size != 1 or not np.isfinite(seconds).all() or seconds.item() < 0:
        raise DomainError(
            f"{what} is {value}, which is not one finite time from zero on, as it has to be."
            " Write, say, 10*ms."
        )
    return float(seconds.item())


def positive(value: Any, unit: Dimensions, what: str) -> float:
    """A number above zero, in SI units.

    Raises:
        UnitError: It has another unit.
        DomainError: It is not one finite positive number.
    """
    found = si(value, unit, what)
    if found.size != 1 or not np.isfinite(found).all() or found.item() <= 0:
        raise DomainError(
            f"{what} is {value}, but differences are divided by it, so that it has to be one"
            f" positive number. Write one above zero [{unit}]."
        )
    return float(found.item())


def chosen(target: Any, trial: Trial, name: str, asked: str) -> Any:
    """The target itself, or else that of the trial.

    Raises:
        DomainError: There is neither.
    """
    if target is not None:
        return target
    given = trial.target
    if isinstance(given, Mapping):
        given = cast(Mapping[str, Any], given).get(name)
    if given is None:
        raise DomainError(
            f"{asked}: there is no target. The loss names none, and the trial has none for"
            f" {name!r}, so that nothing says what is wanted. Name it in the loss, or write"
            f" mn.Trial(target={{{name!r}: ...}})."
        )
    return given


def like(values: Any, reference: Tensor) -> Tensor:
    """Numbers as a tensor of the type and on the device of another."""
    return torch.from_numpy(np.array(values, dtype=float)).to(reference)


def series(values: Array, reference: Tensor, asked: str) -> Tensor:
    """Target of a trace as "time batch neuron" (any axis may be 1).

    Arguments:
        values: One number, "time neuron" or "time batch neuron".
        reference: The trace, "time batch neuron".
        asked: How messages name the loss.

    Raises:
        ShapeError: The shape does not fit the trace.
        DomainError: A value is not finite.
    """
    require_finite(values, f"{asked}: the target")
    full = values[:, None, :] if values.ndim == 2 else values
    fits = full.ndim == 0 or (
        full.ndim == 3
        and all(n in (1, m) for n, m in zip(full.shape, reference.shape, strict=True))
    )
    if not fits:
        raise ShapeError(
            f"{asked}: the target has the shape {values.shape}, but the recording is (time, batch,"
            f" neuron) = {tuple(reference.shape)}. Each value recorded needs one to compare with."
            " Give (time, neuron), (time, batch, neuron), or one number."
        )
    return like(full, reference)


def raster(target: Any, reference: Tensor, dt: float, group: str, asked: str) -> Tensor:
    """Target spikes as counts in each step, "time batch neuron" (batch may be 1).

    Arguments:
        target: A spike monitor, or anything with `.i` and `.t`; a pair (i, t); the times of one
            neuron; a mapping from neurons to times; a list of such, one for each trial; or zeros
            and ones, "time neuron" or "time batch neuron".
        reference: Has the shape of the spikes to compare with, "time batch neuron".
        dt: Time step [s].
        group: Its spikes are meant.
        asked: How messages name the loss.

    Raises:
        UnitError: Times are not in a unit of time.
        DomainError: A spike lies outside the trial, or is of a neuron that the group has not; a
            count is no whole number from 0 on; a list has bare times in it.
        ShapeError: Zeros and ones of another shape than the recording, or a list that has not one
            element for each trial.
    """
    if isinstance(target, list):
        trials = cast(list[Any], target)
        _require_one_each(trials, reference, asked)
        return torch.cat([raster(one, reference[:, :1], dt, group, asked) for one in trials], dim=1)
    if isinstance(target, Tensor | np.ndarray) and target.ndim > 1:
        values = plain(target, Dimensions(), f"{asked}: the target")
        _require_counts(values, asked)
        return series(values, reference, asked)
    index, times = _spikes(target, asked)
    steps, _, size = reference.shape
    counts = np.zeros((steps, size))
    step = np.floor(times / dt + 0.5).astype(np.int64)
    _require_inside(step, index, (steps, size), dt, group, asked)
    np.add.at(counts.reshape(-1), step * size + index, 1)
    return like(counts[:, None], reference)


def _require_one_each(trials: list[Any], reference: Tensor, asked: str) -> None:
    """Refuse a list that is not one of trials."""
    numbers = int | float | np.number | np.ndarray | Tensor
    if any(isinstance(one, numbers) and np.ndim(one) == 0 for one in trials):
        raise DomainError(
            f"{asked}: the target is a list of single times, but a list has the spikes of one trial"
            " after the other. Write [5, 20]*ms for the times of one neuron, or {0: [5, 20]*ms}."
        )
    if len(trials) != reference.shape[1]:
        raise ShapeError(
            f"{asked}: the target is a list of {len(trials)}, but there are {reference.shape[1]}"
            " trials. A list has the spikes of one trial after the other. Give as many, or leave"
            " out the list where all trials have the same target."
        )


def _require_counts(values: Array, asked: str) -> None:
    """Refuse zeros and ones that are none."""
    wrong = values[~((values >= 0) & (values % 1 == 0))]
    if wrong.size:
        raise DomainError(
            f"{asked}: the target has the value {wrong[0]:g}, but an array of two or three axes"
            " has the number of spikes in each step, 0 or 1. Give times as (i, t) or"
            " {0: [5, 20]*ms}, and traces to mn.losses.voltage."
        )


def _spikes(target: Any, asked: str) -> tuple[Array, Array]:
    """Neuron and time [s] of each spike."""
    if isinstance(target, Mapping):
        trains = {k: _times(t, asked) for k, t in cast(Mapping[int, Any], target).items()}
        index = np.repeat(np.array(list(trains), dtype=np.int64), [len(t) for t in trains.values()])
        return index, np.concatenate([np.empty(0), *trains.values()])
    if hasattr(target, "i") and hasattr(target, "t"):
        i, t = target.i, target.t
    elif isinstance(target, tuple) and len(cast(tuple[Any, ...], target)) == 2:
        i, t = cast(tuple[Any, Any], target)
    else:
        i, t = 0, target
    times = _times(t, asked)
    index = np.asarray(i, dtype=np.int64)
    if index.shape not in ((), times.shape):
        raise ShapeError(
            f"{asked}: the target is a pair (i, t) of {index.size} neurons and {times.size} times."
            " Each spike has one of both. Give as many neurons as times."
        )
    return np.broadcast_to(index, times.shape), times


def _times(value: Any, asked: str) -> Array:
    if np.size(value) == 0:  # an empty list needs no unit
        return np.empty(0)
    times = np.atleast_1d(si(value, SECOND, f"{asked}: the spike times of the target"))
    require_finite(times, f"{asked}: the spike times of the target")
    return times


def _require_inside(
    step: Array, index: Array, shape: tuple[int, int], dt: float, group: str, asked: str
) -> None:
    steps, size = shape
    late = (step < 0) | (step >= steps)
    if late.any():
        when, length = step[late][0] * dt, steps * dt
        raise DomainError(
            f"{asked}: the target has a spike at {when * 1e3:g} ms, but the trial has"
            f" {length * 1e3:g} ms. Times count from the start of the trial, and what lies outside"
            " cannot be compared. Leave such spikes out, or give the task another duration."
        )
    alien = (index < 0) | (index >= size)
    if alien.any():
        raise DomainError(
            f"{asked}: the target has a spike of neuron {index[alien][0]}, but {group!r} has"
            f" {size} neurons, counted from 0. Give spikes of those only."
        )
