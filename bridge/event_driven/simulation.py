"""Simulation: an event-driven run, each trial with a clock of its own.

In each round every trial goes on to its next grid point, its next arriving spike, or its next
threshold crossing, whichever comes first: the whole network flows there, and the event moves the
state. All trials do so at once, and no loop goes over spikes or neurons. What the gradient needs
is kept: the state at the start of each round, and what each event read.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from mirrorneuron.errors import NumericalError

from ..backends.eager.functions import Functions
from ..lower.hybrid import TABLE
from .code import Value
from .network import Bundle, Code, Network, key_of
from .spike_list import SpikeList

State = dict[str, Tensor]
ROUNDING = 100  # units in the last place of the largest margin
MOST = 10_000  # events of a trial within one step
ATTEMPTS = 200
ENOUGH = 4  # units in the last place of the margin at a root


class Jump(NamedTuple):
    """What an event did.

    Arguments:
        code: Statements, or synapses that received it.
        rows: Trials.
        who: The element that answers, or the source of the synapses, in each.
        seen: What the statements read.
    """

    code: Code | Bundle
    rows: Tensor
    who: Tensor
    seen: Mapping[str, Value]


class Raised(NamedTuple):
    """Events of one kind in a round.

    Arguments:
        event: "cells.spike".
        rows, who: Trials and elements.
        place: In the list of each trial.
        crossed: Whether the margin crossed zero; else an event lifted it beyond.
    """

    event: str
    rows: Tensor
    who: Tensor
    place: Tensor
    crossed: Tensor


class Arrived(NamedTuple):
    """Spikes that arrived in a round.

    Arguments:
        event, rows: Kind of the spike, and trials.
        place: In the list of each trial.
    """

    event: str
    rows: Tensor
    place: Tensor


class Round(NamedTuple):
    """What a round did.

    Arguments:
        state: At its start.
        t, h: Where it started, and how long it took, " batch".
        row: Number of the present step, " batch".
        bound: Whether it ended at a time that was fixed before.
        passed: Trials that came to a grid point.
        arrived, raised, jumps: Its events.
    """

    state: State
    t: Tensor
    h: Tensor
    row: Tensor
    bound: Tensor
    passed: Tensor
    arrived: tuple[Arrived, ...]
    raised: tuple[Raised, ...]
    jumps: tuple[Jump, ...]


@dataclass(frozen=True)
class Numbers:
    """Values that do not change in a run.

    Arguments:
        values: By key, trained ones as tensors, others as numbers where all elements share one.
        series: What inputs set in each step, "time batch element" (batch may be 1).
        dtype, device: Of tensors.
    """

    values: Mapping[str, Tensor | float]
    series: Mapping[str, Tensor]
    dtype: torch.dtype
    device: torch.device


@dataclass
class Simulation:
    """A run.

    Arguments:
        network: The network in code.
        numbers: Its constants.
        state: Where it starts, "batch element"; it is not changed.
        lists: Events by kind, those of inputs filled in.
        start: Time at which it starts [s].
        steps: How many steps of the grid it takes.
        record: Keys of the variables to record.
        keep: Whether the gradient will be asked for.

    Attributes:
        rounds: What it did.
        size: Largest distance to threshold that was met, by event.
        traces: Recorded values at the start of each step, "time batch element".
    """

    network: Network
    numbers: Numbers
    state: State
    lists: dict[str, SpikeList]
    start: float
    steps: int
    record: Sequence[str]
    keep: bool
    rounds: list[Round] = field(default_factory=list[Round], init=False)
    traces: dict[str, Tensor] = field(default_factory=dict[str, Tensor], init=False)
    size: dict[str, Tensor] = field(default_factory=dict[str, Tensor], init=False)

    def __post_init__(self) -> None:
        like = next(iter(self.state.values()))
        self.batch, self.device = like.shape[0], like.device
        self.dt = self.network.program.dt
        self.f = Functions(self.numbers.dtype, self.device, False)
        self.t = torch.full((self.batch,), self.start, dtype=torch.float64, device=self.device)
        self.row = torch.zeros(self.batch, dtype=torch.long, device=self.device)
        self.since = torch.zeros_like(self.row)
        self.every = torch.arange(self.batch, device=self.device)
        events = list(self.network.margins)
        sizes = [self.network.size(event) for event in events]
        ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
        self.spans = {e: (ends[k], ends[k + 1]) for k, e in enumerate(events)}
        self.size = {e: torch.zeros((), device=self.device) for e in events}
        self.scale = torch.finfo(self.numbers.dtype).eps * ROUNDING
        self.rounding = torch.finfo(self.numbers.dtype).eps * ENOUGH
        queued = self.network.queued
        self.next = torch.zeros(self.batch, len(queued), dtype=torch.long, device=self.device)
        self.tables: dict[tuple[int, str], Value] = {}

    # ---- what statements read

    def _of_step(self, key: str, row: Tensor) -> Tensor:
        """What an input sets in the present step of each trial, "batch element"."""
        series = self.numbers.series[key]
        at = row.clamp(max=max(self.steps - 1, 0))
        return series[at, self.every if series.shape[1] > 1 else torch.zeros_like(self.every)]

    def everywhere(
        self, code: Code, state: State, t: Tensor, h: Tensor, row: Tensor
    ) -> dict[str, Value]:
        """Values for all elements of a group, "batch element"."""
        seen: dict[str, Value] = {}
        for name in code.reads:
            if (clock := code.slot.clock.get(name)) is not None:
                seen[name] = (h if clock == "dt" else t)[:, None].to(self.numbers.dtype)
            else:
                key = self._key(code, name)
                seen[name] = state[key] if key in state else self._fixed(key, row)
        return seen

    def _key(self, code: Code, name: str) -> str:
        if name.startswith(TABLE):
            return code.slot.tables[name.removeprefix(TABLE)]
        key = key_of(code.slot, name)
        assert key is not None
        return key

    def _fixed(self, key: str, row: Tensor) -> Value:
        return self._of_step(key, row) if key in self.numbers.series else self.numbers.values[key]

    def elements(
        self, code: Code, state: State, rows: Tensor, who: Tensor, t: Tensor, h: Tensor, row: Tensor
    ) -> dict[str, Value]:
        """Values for one element in some trials, "batch 1"."""
        seen: dict[str, Value] = {}
        for name in code.reads:
            if (clock := code.slot.clock.get(name)) is not None:
                clocked = h if clock == "dt" else t[rows]
                seen[name] = clocked[:, None].to(self.numbers.dtype)
                continue
            key = self._key(code, name)
            if key in state:
                seen[name] = state[key][rows, who][:, None]
                continue
            value = self._fixed(key, row)
            if not isinstance(value, Tensor) or value.dim() == 0 or value.shape[-1] == 1:
                seen[name] = (
                    value if not isinstance(value, Tensor) or value.dim() < 2 else value[rows]
                )
            else:
                picked = value[who] if value.dim() == 1 else value[rows, who]
                seen[name] = picked[:, None]
        return seen

    def at_synapses(
        self, bundle: Bundle, state: State, rows: Tensor, who: Tensor, row: Tensor
    ) -> dict[str, Value]:
        """Values for the synapses of one source in some trials, "batch synapse"."""
        seen: dict[str, Value] = {}
        for name in bundle.code.reads:
            if bundle.code.slot.clock.get(name) is not None:
                seen[name] = self.dt
                continue
            ref = bundle.code.slot.refs.get(name)
            key = self._key(bundle.code, name)
            where = bundle.synapses if ref is None or ref.index is None else bundle.index[ref.index]
            if key in state:
                seen[name] = state[key][rows[:, None], where[who]]
                continue
            value = self._fixed(key, row)
            if isinstance(value, Tensor) and value.dim() == 2:
                seen[name] = value[rows[:, None], where[who]]
            elif isinstance(value, Tensor) and value.dim() == 1 and value.numel() > 1:
                seen[name] = self._table(bundle, name, value, where)[who]
            else:
                seen[name] = value
        return seen

    def _table(self, bundle: Bundle, name: str, value: Tensor, where: Tensor) -> Tensor:
        """Values of a constant at the synapses of each source, "source synapse"."""
        key = (id(bundle), name)
        if key not in self.tables:
            self.tables[key] = value[where]
        made = self.tables[key]
        assert isinstance(made, Tensor)
        return made

    # ---- flow and margins

    def flow(self, state: State, t: Tensor, h: Tensor, row: Tensor) -> State:
        """The state a time later."""
        made: State = {}
        for code in self.network.flows.values():
            found = code.run(self.everywhere(code, state, t, h, row), self.f)
            for outcome in code.block.outcomes.values():
                before = state[outcome.ref.variable]
                after = torch.as_tensor(found[outcome.line], dtype=before.dtype)
                fresh = after.shape == before.shape and after is not before
                made[outcome.ref.variable] = after if fresh else after.expand_as(before).clone()
        return made | {key: x.clone() for key, x in state.items() if key not in made}

    def margins(self, state: State, row: Tensor) -> Tensor:
        """Distance to threshold of all elements, "batch element"."""
        found: list[Tensor] = []
        for event, code in self.network.margins.items():
            seen = self.everywhere(code, state, self.t, self.t, row)
            value = torch.as_tensor(code.run(seen, self.f)["_value"])
            found.append(value.expand(self.batch, self.network.size(event)))
        if not found:
            return torch.full((self.batch, 1), -math.inf, device=self.device)
        return found[0] if len(found) == 1 else torch.cat(found, 1)

    def _margin_after(self, event: str, rows: Tensor, who: Tensor) -> Callable[[Tensor], Tensor]:
        """The margin of one element in each of some trials, as a function of time from now."""
        code, flow = self.network.margins[event], self.network.flows.get(event.partition(".")[0])
        none = torch.zeros(len(rows), dtype=torch.float64, device=self.device)
        seen = self.elements(code, self.state, rows, who, self.t, none, self.row)
        before: dict[str, Value] = {}
        later: dict[str, str] = {}
        clocks: list[str] = []
        if flow is not None:
            before = self.elements(flow, self.state, rows, who, self.t, none, self.row)
            lines = {o.ref.variable: o.line for o in flow.block.outcomes.values()}
            keys = {name: key_of(code.slot, name) for name in code.reads}
            later = {name: lines[key] for name, key in keys.items() if key in lines}
            clocks = [name for name in flow.reads if flow.slot.clock.get(name) == "dt"]

        before, seen = _in_double(before), _in_double(seen)

        def margin(h: Tensor) -> Tensor:
            passed = h[:, None]
            before.update(dict.fromkeys(clocks, passed))
            found = {} if flow is None else flow.run(before, self.f)
            seen.update({name: found[line] for name, line in later.items()})
            value = torch.as_tensor(code.run(seen, self.f)["_value"])
            return value.expand(len(rows), 1)[:, 0]

        return margin

    def flowed(
        self, event: str, state: State, rows: Tensor, who: Tensor, t: Tensor, h: Tensor, row: Tensor
    ) -> dict[str, Value]:
        """Variables of one element in some trials after a time each, by key, "batch 1"."""
        flow = self.network.flows.get(event.partition(".")[0])
        if flow is None:
            return {}
        found = flow.run(self.elements(flow, state, rows, who, t, h, row), self.f)
        return {o.ref.variable: found[o.line] for o in flow.block.outcomes.values()}

    # ---- rounds

    def run(self) -> None:
        """Go to the end.

        Raises:
            NumericalError: A value is not finite, or events follow each other without end.
        """
        for key in self.record:
            like = self.state[key]
            self.traces[key] = like.new_zeros((self.steps, *like.shape))
            self.traces[key][:1] = like
        while bool((self.row < self.steps).any()):
            self._round()

    def _round(self) -> None:
        state, t, row = self.state, self.t, self.row
        bound, which, arrives = self._bound()
        before = self.margins(state, row)
        self._require_finite(before)
        self._measure(before)
        little = self.scale * before.abs().max()
        lifted = (before > little).any(1)
        h = torch.where(lifted, 0.0, (bound - t).clamp(min=0.0))
        after, h, chosen, made = self._crossing(before, h, lifted, little)
        chosen = torch.where(lifted, before.argmax(1), chosen)
        free = chosen < 0
        self.state, self.t = after, torch.where(free, torch.maximum(bound, t), t + h)
        arrived, jumps = self._arrive(free & arrives, which)
        raised, more = self._raise(chosen, made & ~lifted)
        passed = self._pass(free & ~arrives & (row < self.steps))
        if self.keep:
            self.rounds.append(
                Round(
                    state, t, h, row, free, passed, tuple(arrived), tuple(raised), (*jumps, *more)
                )
            )

    def _bound(self) -> tuple[Tensor, Tensor, Tensor]:
        """When each trial stops at the latest, which spikes arrive then, and whether any does."""
        running = self.row < self.steps
        grid = torch.where(running, self.start + (self.row + 1) * self.dt, self.t)
        if not self.network.queued:
            nothing = torch.zeros_like(running)
            return grid, self.row, nothing
        due = [
            self.lists[b.event].times.gather(1, self.next[:, d : d + 1])[:, 0] + b.delay
            for d, b in enumerate(self.network.queued)
        ]
        first, which = torch.stack(due, 1).min(1)
        arrives = running & (first <= grid)
        return torch.where(arrives, first, grid), which, arrives

    def _crossing(
        self, before: Tensor, h: Tensor, lifted: Tensor, little: Tensor
    ) -> tuple[State, Tensor, Tensor, Tensor]:
        """Flow up to the first crossing of each trial.

        Returns:
            The state, the time it took, who crossed (-1 for nobody), and whether anybody did.
        """
        chosen = torch.full_like(self.row, -1)
        least: Tensor | float = 0.0
        while True:
            after = self.flow(self.state, self.t, h, self.row)
            margin = self.margins(after, self.row)
            ahead = (margin > least) & ~lifted[:, None]
            found = chosen >= 0
            if bool(found.any()):
                ahead[self.every[found], chosen[found]] = False
            rows = ahead.any(1).nonzero()[:, 0]
            if not len(rows):
                return after, h, chosen, chosen >= 0
            low, high = before[rows].clamp(max=0.0), margin[rows]
            share = torch.where(ahead[rows], -low / (high - low), math.inf)
            who = share.argmin(1)
            chosen[rows] = who
            h = h.clone()
            h[rows] = self._refined(rows, who, h[rows], before[rows, who], margin[rows, who])
            least = torch.where(chosen[:, None] >= 0, little, 0.0)

    def _refined(
        self, rows: Tensor, who: Tensor, h: Tensor, before: Tensor, after: Tensor
    ) -> Tensor:
        """When the margin of one element in each of some trials is zero.

        The secant between the ends of an interval that holds it (Dowell & Jarratt 1971, the
        Illinois rule, doi:10.1007/BF01934364).
        """
        found = torch.zeros_like(h)
        for event, (first, stop) in self.spans.items():
            mine = ((who >= first) & (who < stop)).nonzero()[:, 0]
            if len(mine):
                ends = h[mine], before[mine].double(), after[mine].double()
                found[mine] = self._root(event, rows[mine], who[mine] - first, *ends)
        return found

    def _root(
        self, event: str, rows: Tensor, who: Tensor, high: Tensor, below: Tensor, above: Tensor
    ) -> Tensor:
        margin = self._margin_after(event, rows, who)
        enough = float(self.rounding * self.size[event])
        low, side = torch.zeros_like(high), torch.zeros_like(high)
        best = torch.where(below >= 0, low, high)
        done = below >= 0
        least = torch.finfo(self.numbers.dtype).eps * self.dt
        for k in range(ATTEMPTS):
            last = (high * below - low * above) / (below - above)
            halve = ~torch.isfinite(last) | (k % 3 == 2 and k > 4)
            last = torch.where(halve, (low + high) / 2, last).clamp(min=0)
            m = margin(last)
            best = torch.where(done, best, last)
            done |= (m.abs() <= enough) | (high - low <= least)
            if bool(done.all()):
                return best
            up = ~(m <= 0)
            below = torch.where(up, torch.where(side > 0, below / 2, below), m)
            above = torch.where(up, m, torch.where(side < 0, above / 2, above))
            low, high = torch.where(up, low, last), torch.where(up, last, high)
            side = up * 2.0 - 1.0
        raise NumericalError(
            f"EventProp: the time at which {event} crosses its threshold was not found within"
            f" {ATTEMPTS} attempts: the integrator's result jumps within one step. Write a smaller"
            " dt or method='rk4'."
        )

    def _arrive(self, now: Tensor, which: Tensor) -> tuple[list[Arrived], list[Jump]]:
        """Let spikes arrive."""
        arrived: list[Arrived] = []
        jumps: list[Jump] = []
        if not bool(now.any()):
            return arrived, jumps
        for d, bundle in enumerate(self.network.queued):
            rows = (now & (which == d)).nonzero()[:, 0]
            if not len(rows):
                continue
            place = self.next[rows, d]
            who = self.lists[bundle.event].who[rows, place]
            self.next[rows, d] += 1
            self.since[rows] += 1
            arrived.append(Arrived(bundle.event, rows, place))
            jumps.append(self._deliver(bundle, rows, who))
        return arrived, jumps

    def _raise(self, chosen: Tensor, crossed: Tensor) -> tuple[list[Raised], list[Jump]]:
        """Let elements raise events, and do what these do at once."""
        raised: list[Raised] = []
        jumps: list[Jump] = []
        if not bool((chosen >= 0).any()):
            return raised, jumps
        for event, (first, stop) in self.spans.items():
            rows = ((chosen >= first) & (chosen < stop)).nonzero()[:, 0]
            if not len(rows):
                continue
            who = chosen[rows] - first
            self.since[rows] += 1
            self._require_progress(event, rows, who)
            place = self.lists[event].append(rows, self.t[rows], who)
            raised.append(Raised(event, rows, who, place, crossed[rows]))
            for answer in self.network.answers.get(event, ()):
                deliver = isinstance(answer, Bundle)
                jumps.append(
                    self._deliver(answer, rows, who) if deliver else self._reset(answer, rows, who)
                )
        return raised, jumps

    def _reset(self, code: Code, rows: Tensor, who: Tensor) -> Jump:
        none = torch.full((len(rows),), self.dt, device=self.device)
        seen = self.elements(code, self.state, rows, who, self.t, none, self.row)
        found = code.run(seen, self.f)
        for outcome in code.block.outcomes.values():
            x = self.state[outcome.ref.variable]
            value = torch.as_tensor(found[outcome.line], dtype=x.dtype, device=x.device)
            x[rows, who] = value.expand(len(rows), 1)[:, 0]
        return Jump(code, rows, who, seen)

    def _deliver(self, bundle: Bundle, rows: Tensor, who: Tensor) -> Jump:
        seen = self.at_synapses(bundle, self.state, rows, who, self.row)
        found = bundle.code.run(seen, self.f)
        shape = (len(rows), bundle.synapses.shape[1])
        for outcome in bundle.code.block.outcomes.values():
            x, index = self.state[outcome.ref.variable], outcome.ref.index or ""
            value = torch.as_tensor(found[outcome.line], dtype=x.dtype, device=x.device)
            value = value.expand(shape)
            if outcome.kind == "added":
                _add(bundle, x, rows, who, index, value)
            else:
                places = bundle.index[index][who]
                held = bundle.held
                kept = (
                    value
                    if held is None
                    else torch.where(held[who], value, x[rows[:, None], places])
                )
                x[rows[:, None], places] = kept
        return Jump(bundle, rows, who, seen)

    def _pass(self, passed: Tensor) -> Tensor:
        """Let trials begin their next step."""
        rows = passed.nonzero()[:, 0]
        if not len(rows):
            return rows
        self.row = self.row + passed
        self.since[rows] = 0
        here = rows[self.row[rows] < self.steps]
        for key, trace in self.traces.items():
            trace[self.row[here], here] = self.state[key][here]
        return rows

    def _measure(self, margins: Tensor) -> None:
        """Keep the largest distance to threshold of each kind of event."""
        for event, (first, stop) in self.spans.items():
            self.size[event] = torch.maximum(self.size[event], margins[:, first:stop].abs().max())

    def _require_finite(self, margins: Tensor) -> None:
        if bool(torch.isnan(margins).any()):
            when = float(self.t.min())
            raise NumericalError(
                f"EventProp: a distance to threshold is NaN at t = {when * 1e3:g} ms or later, so"
                " that no spike can be found. The equations leave the range of their integrator."
                " Write a smaller dt, method='rk4', or weights that are less large."
            )

    def _require_progress(self, event: str, rows: Tensor, who: Tensor) -> None:
        stuck = (self.since[rows] > MOST).nonzero()[:, 0]
        if len(stuck):
            name = event.partition(".")[0]
            raise NumericalError(
                f"EventProp: {name}[{int(who[stuck[0]])}] takes part in more than {MOST} events"
                f" within one step of {self.dt * 1e3:g} ms. A reset that leaves it above"
                " threshold, or cells that excite each other without a delay, spike again at the"
                " same moment, for ever. Write a reset below threshold, or a delay."
            )


def _in_double(values: Mapping[str, Value]) -> dict[str, Value]:
    """The same in double precision, so that a root is found in few attempts."""
    return {name: x.double() if isinstance(x, Tensor) else x for name, x in values.items()}


def _add(bundle: Bundle, x: Tensor, rows: Tensor, who: Tensor, index: str, value: Tensor) -> None:
    """Add what each synapse adds to the element that it reaches."""
    if index in bundle.whole:
        x.index_add_(0, rows, value.contiguous())
        return
    if bundle.held is not None:
        value = value * bundle.held[who]
    flat = (rows[:, None] * x.shape[1] + bundle.index[index][who]).reshape(-1)
    x.view(-1).index_add_(0, flat, value.reshape(-1))
