"""run: an event-driven run of a mirror, whose spike times and traces torch can differentiate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from mirrorneuron.errors import DomainError, GradientError, ShapeError, UnknownName

from ..inputs import Inputs
from ..lower.hybrid import events, hybrid
from ..lower.hybrid_limits import limits
from ..mirror import Mirror
from ..program import Array, Pathway, Program
from ..recording import Recording, Spikes
from ..spikes import Events, Raster
from ..values import Values
from .adjoint import Adjoint
from .network import Network, constant, network
from .simulation import Numbers, Simulation
from .spike_list import SpikeList
from .spike_times import SpikeTimes, raster

_KEPT: WeakKeyDictionary[Mirror, dict[Any, Network]] = WeakKeyDictionary()


@dataclass(frozen=True)
class EventRecording(Recording):
    """A recording that has the times of spikes, too.

    Arguments:
        spike_times: By group, from the start of the run [s], "batch neuron spike", in order, with
            infinity where there is none; differentiable. Those of inputs are there as well.
        tally: What happened, for reports.
    """

    spike_times: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    tally: "Tally" = field(default_factory=lambda: Tally())

    def counts(self, name: str) -> Tensor:
        """Number of spikes of each neuron of a group, "batch neuron"."""
        return torch.isfinite(self.times(name)).sum(2)

    def times(self, name: str) -> Tensor:
        """Times of a group's spikes: see `spike_times`.

        Raises:
            UnknownName: There is no spiking group of that name.
        """
        if name not in self.spike_times:
            raise UnknownName.among(f"recording.times({name!r})", name, self.spike_times)
        return self.spike_times[name]

    def first_times(self, name: str) -> Tensor:
        """Time of each neuron's first spike [s], infinity if it is silent, "batch neuron"."""
        return self.times(name)[:, :, 0]


@dataclass
class Tally:
    """Numbers of a run, which the way back completes.

    Arguments:
        spikes: Spikes of neurons.
        rounds: Rounds of the simulation.
        grazing: Crossings so slow that their gradient was limited.
    """

    spikes: int = 0
    rounds: int = 0
    grazing: int = 0


@dataclass
class _Job:
    """A run to be done.

    Arguments:
        network, numbers, lists, start, steps, record: As in `Simulation`.
        names: Keys of the tensors that are differentiated: trained ones, states at the start, and
            events of inputs.
        least: As in `Adjoint`.
        tally: To be filled.
    """

    network: Network
    numbers: Numbers
    lists: dict[str, SpikeList]
    start: float
    steps: int
    record: tuple[str, ...]
    names: tuple[tuple[str, str], ...]
    least: float
    tally: Tally

    def simulation(self, given: Sequence[Tensor], keep: bool) -> Simulation:
        """The run, done."""
        tensors = {name: x.detach() for name, x in zip(self.names, given, strict=True)}
        trained = {key: x for (kind, key), x in tensors.items() if kind == "trained"}
        state = {key: x for (kind, key), x in tensors.items() if kind == "state"}
        numbers = replace(self.numbers, values={**self.numbers.values, **trained})
        made = Simulation(
            self.network, numbers, state, self.lists, self.start, self.steps, self.record, keep
        )
        made.run()
        return made


def event_driven(
    model: Mirror,
    steps: int,
    inputs: Mapping[str, Any],
    batch_size: int | None,
    state: Mapping[str, Any] | None,
    record: Sequence[str],
    least: float,
    asked: str = "EventProp",
) -> EventRecording:
    """Run a model from event to event.

    Arguments:
        model: A mirror.
        steps: Number of steps of its clock, which are the longest steps of the integrator.
        inputs: As in `Mirror.run`, and `SpikeTimes`.
        batch_size, state: As in `Mirror.run`.
        record: Variables to record, at the start of each step.
        least: As in `Adjoint`.
        asked: How messages name the rule.

    Raises:
        GradientError: The network has parts without this gradient; lists all of them.
    """
    values, program = model.values, model.program
    timed = {f"{n}.spike": x.tensor for n, x in inputs.items() if isinstance(x, SpikeTimes)}
    _require_groups(program, timed, asked)
    plain = {n: x for n, x in inputs.items() if not isinstance(x, SpikeTimes)}
    sizes = {len(x) for x in timed.values()} - {1}
    wanted = next(iter(sizes)) if batch_size is None and sizes else batch_size
    checked = Inputs(values, plain, steps, wanted, state)
    driven = frozenset({*checked.arrays, *timed})
    net = _network(model, driven, asked)
    batch = checked.batch_size
    first = program.step if state is None else int(state["step"])
    start = first * program.dt
    names, tensors = _tensors(values, net, state, batch, timed)
    numbers = Numbers(_constants(values, net), _series(net, checked, first), values.dtype,
                      values.device)  # fmt: skip
    lists = {e: SpikeList.empty(batch, values.device) for e in events(program)}
    lists |= _given(program, checked, timed, first, steps, batch)
    tally = Tally()
    kept = _recorded(net, record, asked)
    job = _Job(net, numbers, lists, start, steps, kept, names, least, tally)
    return _record(job, tensors, values, batch, first)


def _network(model: Mirror, driven: frozenset[str], asked: str) -> Network:
    """Code of the network of a model, made once."""
    known = _KEPT.setdefault(model, {})
    key = driven, model.device
    if key not in known:
        found = limits(model.program, driven)
        if found:
            lines = "\n".join(f"  {limit}" for limit in found)
            raise GradientError(
                f"{asked} follows a flow that events interrupt, and {len(found)} of the network's"
                f" parts are neither:\n{lines}"
            )
        data = hybrid(model.program, driven)
        known[key] = network(data, frozenset(model.keys), driven, model.device)
    return known[key]


def _require_groups(program: Program, timed: Mapping[str, Tensor], asked: str) -> None:
    for event, times in timed.items():
        name = event.partition(".")[0]
        if name not in program.spiking():
            raise UnknownName.among(f"{asked}: inputs={{{name!r}: SpikeTimes(...)}}", name,
                                    program.spiking())  # fmt: skip
        size = program.groups[name].size
        if times.shape[1] != size:
            raise ShapeError(
                f"{asked}: inputs={{{name!r}: SpikeTimes(...)}} has times of {times.shape[1]}"
                f" neurons, and {name!r} has {size}. Give one row for each."
            )


def _tensors(
    values: Values,
    net: Network,
    state: Mapping[str, Any] | None,
    batch: int,
    timed: Mapping[str, Tensor],
) -> tuple[tuple[tuple[str, str], ...], list[Tensor]]:
    """What a run is differentiated by, with names."""
    begin = values.initial_state(batch) if state is None else state
    _require_rest(net.program, begin)
    made = {("trained", key): x for key, x in values.trained.items()}
    for key in net.hybrid.states:
        made["state", key] = begin[key].expand(batch, -1)
    made |= {("input", event): x for event, x in timed.items() if x.requires_grad}
    return tuple(made), list(made.values())


def _require_rest(program: Program, state: Mapping[str, Any]) -> None:
    for name in program.pathways:
        if any(len(cast(Events, e).index) for e in state[f"{name}.history"]):
            raise DomainError(
                f"EventProp: the state has spikes on their way along {name!r}, whose times are not"
                " known. Start from model.initial_state(), or with no spikes under way."
            )


def _constants(values: Values, net: Network) -> dict[str, Tensor | float]:
    program = net.program
    moving = {*net.hybrid.states, *values.trained}
    return {
        key: constant(program.initial(key), values.dtype, values.device)
        for key in net.used - moving
    }


def _series(net: Network, checked: Inputs, first: int) -> dict[str, Tensor]:
    """What inputs and TimedArrays set in each step, "time batch element"."""
    program, values = net.program, checked.values
    made = {key: x for key, x in checked.arrays.items() if key in program.variables}
    for key, table in program.tables.items():
        if table.name in checked.arrays:
            made[key] = checked.arrays[table.name]
            continue
        rows = [table.row((first + k) * program.dt) for k in range(checked.steps)]
        picked = table.values[rows].reshape(checked.steps, 1, -1)
        made[key] = torch.as_tensor(picked, device=values.device).to(values.dtype)
    return made


def _given(
    program: Program,
    checked: Inputs,
    timed: Mapping[str, Tensor],
    first: int,
    steps: int,
    batch: int,
) -> dict[str, SpikeList]:
    """Spikes that are known before the run."""
    start, device = first * program.dt, checked.values.device
    made: dict[str, SpikeList] = {}
    for name, generator in program.generators.items():
        step, index = _generated(generator.step, generator.index, generator.period, first, steps)
        rows = torch.zeros(steps, 1, program.groups[name].size, device=device)
        rows[torch.from_numpy(step - first), 0, torch.from_numpy(index)] = 1
        made[f"{name}.spike"] = SpikeList.of(_times(rows.expand(-1, batch, -1), start, program.dt))
    for key, x in checked.arrays.items():
        if key not in program.variables and key.endswith(".spike"):
            made[key] = SpikeList.of(_times(x.expand(-1, batch, -1), start, program.dt))
    for event, times in timed.items():
        made[event] = SpikeList.of(times.expand(batch, -1, -1) + start)
    return made


def _generated(
    step: Array, index: Array, period: int, first: int, steps: int
) -> tuple[Array, Array]:
    """Steps and elements of the spikes within a run."""
    if period:
        cycles = np.arange(first // period, (first + steps) // period + 1)
        step = (step[None] + period * cycles[:, None]).reshape(-1)
        index = np.tile(index, len(cycles))
    inside = (step >= first) & (step < first + steps)
    return step[inside].astype(np.int64), index[inside].astype(np.int64)


def _times(rows: Tensor, start: float, dt: float) -> Tensor:
    """Times at which spikes of a grid act, the end of their step, "batch neuron spike"."""
    step = torch.arange(len(rows), dtype=torch.float64, device=rows.device)
    times = torch.where(rows > 0, (start + (step + 1) * dt)[:, None, None], torch.inf)
    most = max(int((rows > 0).sum(0).max()) if rows.numel() else 0, 1)
    return times.permute(1, 2, 0).sort(2).values[:, :, :most]


def _recorded(net: Network, record: Sequence[str], asked: str) -> tuple[str, ...]:
    unknown = [key for key in record if key not in net.hybrid.states]
    if unknown:
        raise UnknownName.among(
            f"{asked}: record={unknown}, of which variables that change can be recorded",
            unknown[0], net.hybrid.states,
        )  # fmt: skip
    return tuple(record)


class _Exact(torch.autograd.Function):
    """A run, and its gradient by the adjoint."""

    @staticmethod
    def forward(ctx: Any, job: _Job, kept: dict[str, Any], *given: Tensor) -> tuple[Tensor, ...]:
        run = job.simulation(given, any(ctx.needs_input_grad))
        kept["run"] = run
        dtype = job.numbers.dtype
        found, places = {}, {}
        for event, listed in run.lists.items():
            times, places[event] = listed.by_neuron(job.network.size(event))
            found[event] = (times - job.start).to(dtype)
        ctx.job, ctx.run, ctx.places = job, run, places
        ctx.shapes = [x.shape for x in given]
        job.tally.rounds = len(run.rounds)
        job.tally.spikes = sum(int(run.lists[e].count.sum()) for e in run.network.margins)
        return (*found.values(), *run.traces.values(), *run.state.values())

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[Any, ...]:
        run, job = cast(Simulation, ctx.run), cast(_Job, ctx.job)
        events, recorded = list(run.lists), list(run.traces)
        n, m = len(events), len(events) + len(recorded)
        times = {e: _by_place(bar, ctx.places[e]) for e, bar in zip(events, bars[:n], strict=True)}
        traces = dict(zip(recorded, bars[n:m], strict=True))
        end = dict(zip(run.state, bars[m:], strict=True))
        back = Adjoint(run, times, traces, end, job.least)
        back.go_back()
        job.tally.grazing += back.grazing
        found: list[Tensor] = []
        for (kind, key), shape in zip(job.names, ctx.shapes, strict=True):
            match kind:
                case "trained":
                    found.append(back.found[key].reshape(shape))
                case "state":
                    found.append(back.state[key])
                case _:
                    found.append(_by_input(back, key, shape))
        return None, None, *found


def _by_input(back: Adjoint, event: str, shape: torch.Size) -> Tensor:
    """Derivatives by the times of an input, in its shape."""
    bar, origin = back.times[event], back.run.lists[event].origin
    assert origin is not None
    made = bar.new_zeros(len(bar), int(shape[1:].numel()))
    made.scatter_add_(1, origin, bar[:, : origin.shape[1]])
    return made.reshape(-1, *shape[1:]).sum_to_size(shape)


def _by_place(bar: Tensor, place: Tensor) -> Tensor:
    """Derivatives by padded times as those by the events of lists, "batch event"."""
    flat = bar.reshape(len(bar), -1)
    padded = torch.cat([flat, flat.new_zeros(len(flat), 1)], 1)
    return padded.gather(1, place.clamp(max=padded.shape[1] - 1))


class _NoSlope(torch.autograd.Function):
    """Spikes as zeros and ones, of which there is no derivative."""

    @staticmethod
    def forward(ctx: Any, name: str, spikes: Tensor, anchor: Tensor) -> Tensor:
        ctx.name = name
        return spikes.clone()

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[None, None, None]:
        raise GradientError(
            f"EventProp: the loss reads recording.spikes[{ctx.name!r}], zeros and ones whose number"
            " does not change with a little more of a parameter: they have no derivative. Let the"
            f" loss read times, recording.first_times({ctx.name!r}), or traces,"
            " record=['cells.v']; rule=mn.BPTT() has a surrogate gradient of spikes."
        )


def _record(
    job: _Job, tensors: list[Tensor], values: Values, batch: int, first: int
) -> EventRecording:
    """Do a run, and record it."""
    kept: dict[str, Any] = {}
    outputs = _Exact.apply(job, kept, *tensors)
    run = cast(Simulation, kept["run"])
    program, dt = job.network.program, job.network.program.dt
    n, m = len(run.lists), len(run.lists) + len(run.traces)
    times = {e.partition(".")[0]: x for e, x in zip(run.lists, outputs[:n], strict=True)
             if e.endswith(".spike")}  # fmt: skip
    sizes = {name: (batch, x.shape[1]) for name, x in times.items()}
    rasters = {name: _raster(name, x, job.steps, dt) for name, x in times.items()}
    silent = {f"{n}.{e}": values.silent(n, batch)
              for n, g in program.groups.items() for e in g.events}  # fmt: skip
    history = {f"{p}.history": _under_way(rasters, times, path, job.steps, dt, values)
               for p, path in program.pathways.items()}  # fmt: skip
    state = {**silent, **history, **dict(zip(run.state, outputs[m:], strict=True)),
             "step": first + job.steps}  # fmt: skip
    return EventRecording(
        dt=dt, first=first, steps=job.steps, spikes=Spikes(rasters, sizes, program.parts),
        traces=dict(zip(run.traces, outputs[n:m], strict=True)), state=state,
        units={key: program.unit(key) for key in run.traces}, spike_times=times, tally=job.tally,
    )  # fmt: skip


def _under_way(
    rasters: Mapping[str, Raster],
    times: Mapping[str, Tensor],
    path: Pathway,
    steps: int,
    dt: float,
    values: Values,
) -> tuple[Events, ...]:
    """Spikes of the last steps, newest first."""
    name = path.event.partition(".")[0]
    if not path.max_delay or name not in rasters:
        batch = next(iter(times.values())).shape[0] if times else 1
        return tuple(values.silent(name, batch) for _ in range(path.max_delay))
    rows = raster(times[name], steps, dt).to(values.dtype)[-path.max_delay :].flip(0)
    return tuple(Events.of(row) for row in rows)


def _raster(name: str, times: Tensor, steps: int, dt: float) -> Raster:
    """Spikes on the grid of the clock, made when they are asked for."""

    def dense() -> Tensor:
        rows = raster(times, steps, dt)
        return _NoSlope.apply(name, rows, times) if times.requires_grad else rows

    def listed() -> tuple[Array, Array, Array]:
        step, trial, neuron = np.nonzero(raster(times, steps, dt).cpu().numpy())
        return step, trial, neuron

    return Raster((steps, times.shape[0], times.shape[1]), listed, dense)
