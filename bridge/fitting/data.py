"""data: what was applied to a neuron and what was recorded of it, as a mirror takes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from mirrorneuron.errors import DomainError, GradientError, ShapeError, UnknownName
from mirrorneuron.units import quantity

from ..inputs import Inputs, own_name
from ..losses._target import plain, positive, raster, series, time
from ..lower.margin import MARGIN
from ..mirror import Mirror
from ..nudge import Nudge
from ..program import Threshold
from ..recording import SECOND

ASKED = "fit_recording(model, ...)"
NUDGE, AFTER = 1e-3, 2e-3


@dataclass(frozen=True)
class Data:
    """A recording as a mirror takes it: tensors "time batch neuron" in SI units.

    Arguments:
        model: Says what fits.
        group: Its spikes were recorded.
        inputs: What else is set from outside.
        spikes: 1 where a spike was recorded.
        variable: Key of the recorded trace, or None.
        trace: The trace, or None.
        nudge: Time constant of the pull towards the trace [s], or None.
        after: How long after a spike the trace is not compared [s].
    """

    model: Mirror
    group: str
    inputs: Mapping[str, Tensor]
    spikes: Tensor
    variable: str | None = None
    trace: Tensor | None = None
    nudge: float | None = None
    after: float = 2e-3

    @property
    def steps(self) -> int:
        """Length."""
        return len(self.spikes)

    @property
    def dt(self) -> float:
        """Time step [s]."""
        return self.model.program.dt

    @property
    def key(self) -> str:
        """Of the distance to threshold."""
        return f"{self.group}.spike{MARGIN}"

    @property
    def series(self) -> dict[str, Tensor]:
        """Everything that varies in time, by the name of an input."""
        own = {self.group: self.spikes}
        if self.variable is not None and self.trace is not None and self.nudge is not None:
            own[self.variable] = self.trace
        return {**self.inputs, **own}

    def forced(self, given: Mapping[str, Tensor]) -> dict[str, Any]:
        """Inputs of a teacher-forced run from (a part of) `series`."""
        inputs: dict[str, Any] = dict(given)
        if self.variable in inputs and self.nudge is not None:
            inputs[self.variable] = Nudge(inputs[self.variable], quantity(self.nudge, SECOND))
        return inputs

    @property
    def gain(self) -> float:
        """Share of the distance to the trace that goes in one step."""
        return 0.0 if self.nudge is None else Nudge((), quantity(self.nudge, SECOND)).gain(self.dt)

    @cached_property
    def compared(self) -> Tensor:
        """Steps in which the trace is compared: none from a spike on, for a while."""
        hidden = self.spikes > 0
        for _ in range(round(self.after / self.dt)):
            later = torch.cat([torch.zeros_like(hidden[:1]), hidden[:-1]])
            hidden = later | (self.spikes > 0)
        return ~hidden


def read_data(model: Mirror, given: Any, spikes: Any, voltage: Any, nudge: Any, after: Any) -> Data:
    """What was recorded and applied, checked: see `fit_recording`."""
    if not model.limits:
        raise GradientError(
            f"{ASKED}: the model has no parameters. Name what to fit: mirror(net,"
            " train=['cells.tau'])."
        )
    if not isinstance(given, Mapping):
        raise DomainError(
            f"{ASKED}: the input is a {type(given).__name__}, so that nothing says what it sets."
            " Write input={'cells.I': current}."
        )
    if isinstance(nudge, str) and nudge != "auto":
        raise DomainError(
            f"fit_recording(nudge={nudge!r}): the time constant of the pull is a Quantity. Write,"
            " say, nudge=1*ms, None for no pull, or 'auto'."
        )
    group, fired = _of_group(model, spikes)
    variable, trace = _of_variable(model, group, voltage)
    trace = _time_first(trace, variable, model.program.groups[group].size)
    applied = cast(Mapping[str, Any], given)
    steps = _steps(model, applied, trace, fired)
    inputs = {
        own_name(model.program, name): _array(model, name, value, steps)
        for name, value in applied.items()
    }
    batch = max([1, *(x.shape[1] for x in inputs.values()), *_trials(fired), *_trials(trace)])
    like = torch.zeros(
        steps, batch, model.program.groups[group].size, dtype=model.dtype, device=model.device
    )
    pull = quantity(NUDGE, SECOND) if isinstance(nudge, str) else nudge
    full = raster(fired, like, model.program.dt, group, f"{ASKED}: spikes").expand_as(like)
    _require_spikes(model, group, full)
    return Data(
        model,
        group,
        {name: x.expand(-1, batch, -1) for name, x in inputs.items()},
        full,
        variable,
        None if variable is None else _trace(model, variable, trace, like),
        None if variable is None or pull is None else positive(pull, SECOND, f"{ASKED}: nudge"),
        AFTER if after is None else time(after, f"{ASKED}: after_spike"),
    )


def _of_group(model: Mirror, spikes: Any) -> tuple[str, Any]:
    """The group whose spikes were recorded, and the spikes."""
    groups = {s.owner for s in model.program.slots_of(Threshold)}
    margins = {key.split(".")[0] for key in model.program.values if key.endswith(f".spike{MARGIN}")}
    if isinstance(spikes, Mapping) and any(
        isinstance(k, str) for k in cast(Mapping[Any, Any], spikes)
    ):
        named = cast(Mapping[str, Any], spikes)
        if len(named) != 1:
            raise DomainError(
                f"{ASKED}: spikes are given of {len(named)} groups. One group is fitted to a"
                " recording at a time. Name one: spikes={'cells': ...}."
            )
        ((group, fired),) = named.items()
    elif len(groups) == 1:
        (group,), fired = groups, spikes
    else:
        raise DomainError(
            f"{ASKED}: the model has {len(groups)} groups with a threshold"
            f" ({', '.join(map(repr, sorted(groups)))}), so that it is open whose spikes these are."
            " Name it: spikes={'cells': ...}."
        )
    if group not in groups:
        raise UnknownName.among(f"fit_recording(spikes={{{group!r}: ...}})", group, groups)
    if group not in margins:
        raise DomainError(
            f"{ASKED}: the threshold of {group!r} is no single comparison, so that there is no one"
            " distance to threshold from which a spike gets its probability. Write"
            " threshold='v > theta', alone or joined to conditions by 'and'."
        )
    if fired is None:
        raise DomainError(
            f"{ASKED}: no spikes are given. They are what the model is fitted to. Write"
            " spikes=monitor, spikes=times, or zeros and ones."
        )
    return group, fired


def _of_variable(model: Mirror, group: str, voltage: Any) -> tuple[str | None, Any]:
    """The variable that was recorded, and its trace."""
    if voltage is None:
        return None, None
    named = (
        cast(Mapping[str, Any], voltage)
        if isinstance(voltage, Mapping)
        else {f"{group}.v": voltage}
    )
    if len(named) != 1:
        raise DomainError(
            f"{ASKED}: traces of {len(named)} variables are given. One is compared. Name one:"
            " voltage={'cells.v': ...}."
        )
    ((variable, trace),) = named.items()
    if variable not in model.program.variables:
        known = (key for key in model.program.variables if key.startswith(f"{group}."))
        raise UnknownName.among(f"fit_recording(voltage={{{variable!r}: ...}})", variable, known)
    return variable, trace


def _time_first(trace: Any, variable: str | None, size: int) -> Any:
    """A trace as "time neuron": a StateMonitor has "neuron time", one neuron may have "time"."""
    if variable is not None and hasattr(trace, "record") and hasattr(trace, "variables"):
        return getattr(trace, variable.partition(".")[2]).T
    if getattr(trace, "ndim", 0) == 1 and size == 1:
        return trace[:, None]
    if getattr(trace, "ndim", 0) == 2 and len(trace) == size != trace.shape[1]:
        raise ShapeError(
            f"{ASKED}: the voltage has the shape {tuple(trace.shape)}, (neuron, time) as a"
            " StateMonitor has it, but (time, neuron) is expected. Write voltage=monitor, or"
            " voltage=monitor.v.T."
        )
    return trace


def _steps(model: Mirror, given: Mapping[str, Any], trace: Any, fired: Any) -> int:
    """Length of the recording."""
    for x, least in (*((x, 1) for x in given.values()), (trace, 2), (fired, 2)):
        if getattr(x, "ndim", 0) >= least:
            return len(x)
    raise DomainError(
        f"{ASKED}: nothing says how long the recording is. Give the input, the voltage, or the"
        " spikes as an array with one row for each step of"
        f' {model.program.dt * 1e3:g} ms, "time neuron".'
    )


def _array(model: Mirror, name: str, value: Any, steps: int) -> Tensor:
    """An input, checked as that of a run."""
    (rows,) = Inputs(model.values, {name: value}, steps, None, None).series.values()
    return torch.stack(rows)


def _trials(x: Any) -> Iterator[int]:
    """How many recordings there are, where that can be told."""
    if isinstance(x, list):
        yield len(cast(list[Any], x))
    elif getattr(x, "ndim", 0) == 3:
        yield x.shape[1]


def _trace(model: Mirror, variable: str, trace: Any, like: Tensor) -> Tensor:
    asked = f"{ASKED}: voltage={{{variable!r}: ...}}"
    full = series(plain(trace, model.unit(variable), asked), like, asked).expand_as(like)
    if not full.var() > 0:
        raise DomainError(
            f"{asked}: the trace never changes, so that there is nothing to be explained. Give what"
            " was recorded, or leave voltage out."
        )
    return full


def _require_spikes(model: Mirror, group: str, spikes: Tensor) -> None:
    """Refuse what no neuron can do; warn of what this one cannot."""
    if not spikes.sum():
        raise DomainError(
            f"{ASKED}: there is no spike in the recording. The likelihood is that of spikes. Give a"
            " recording with some, or train with mn.losses.voltage."
        )
    if spikes.max() > 1:
        step, trial, neuron = torch.nonzero(spikes > 1)[0].tolist()
        raise DomainError(
            f"{ASKED}: neuron {neuron} (recording {trial}) has two spikes in step {step}. A neuron"
            f" spikes once in a step of {model.program.dt * 1e3:g} ms. Mirror the network with a"
            " smaller dt, or leave one of the two out."
        )
