r"""Adjoint: the exact gradient of an event-driven run, by one way back through its rounds.

With $p = dL/dx$, and with the derivative by the time of the present round, $q = dL/dt$:

* across an event, $p^- = (\partial f/\partial x)^T p^+$, and what f reads of parameters gets
  $p^+ \cdot \partial f/\partial\theta$;
* where a margin g crossed zero, the time that the flow $\Phi_h$ took follows from the state. With
  $\eta = p^- \cdot \partial_h\Phi + q + \partial L/\partial t_k$ one has
  $p^- \leftarrow p^- - \eta\, \nabla g / (\nabla g \cdot \partial_h\Phi)$, and parameters of g get
  $-\eta\, \partial_\theta g / (\nabla g \cdot \partial_h\Phi)$;
* through the flow, $p = (\partial\Phi/\partial x)^T p^-$.

For a flow of equations without time, $q = -p^+ \cdot F^+$, so that the second line is the jump of
Wunderlich & Pehle, for any equations, thresholds and resets. It is the derivative of what the
simulation computes, integrator included. The delay of a synapse passes q on to the spike that it
delays.

Source: Wunderlich & Pehle 2021, doi:10.1038/s41598-021-91786-z, methods (their $\lambda$ is
$-p/\tau$); jumps of sensitivities at events: Galán, Feehery & Barton 1999,
doi:10.1016/S0168-9274(98)00125-1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .code import Value, summed
from .network import Bundle, Code, key_of
from .simulation import Jump, Raised, Round, Simulation, State


@dataclass
class Adjoint:
    """The way back through a run.

    Arguments:
        run: The run.
        times: Derivative of the loss by each event, "batch event", by its kind; it is changed.
        traces: The same by recorded values, "time batch element".
        end: The same by the state at the end.
        least: Smallest velocity of a margin that counts in full: the largest distance to threshold,
            times this number, in the time of the run.

    Attributes:
        state: Derivative by the state at the start.
        found: Derivative by each trained variable or constant.
        grazing: Number of crossings that were slower.
    """

    run: Simulation
    times: dict[str, Tensor]
    traces: Mapping[str, Tensor]
    end: Mapping[str, Tensor]
    least: float
    state: State = field(init=False)
    found: dict[str, Tensor] = field(default_factory=dict[str, Tensor], init=False)
    tables: dict[tuple[int, str], tuple[Bundle, str, Tensor]] = field(
        default_factory=dict[tuple[int, str], tuple[Bundle, str, Tensor]], init=False
    )
    grazing: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        run = self.run
        self.state = {key: self.end.get(key, torch.zeros_like(x)).clone()
                      for key, x in run.state.items()}  # fmt: skip
        self.q = torch.zeros(run.batch, dtype=run.numbers.dtype, device=run.device)
        for key in run.network.trained:
            value = run.numbers.values.get(key)
            if isinstance(value, Tensor):
                self.found[key] = torch.zeros_like(value)

    def go_back(self) -> None:
        """From the end to the start."""
        for step in reversed(self.run.rounds):
            self._round(step)
        for key, trace in self.traces.items():
            if len(trace):
                self.state[key] = self.state[key] + trace[0]
        for bundle, name, gradient in self.tables.values():
            key = key_of(bundle.code.slot, name)
            assert key is not None
            ref = bundle.code.slot.refs.get(name)
            where = bundle.synapses if ref is None or ref.index is None else bundle.index[ref.index]
            self.found[key].view(-1).index_add_(0, where.reshape(-1), gradient.reshape(-1))

    def _round(self, step: Round) -> None:
        self._traces(step)
        for jump in reversed(step.jumps):
            if isinstance(jump.code, Bundle):
                self._delivered(jump, jump.code)
            else:
                self._reset(jump, jump.code)
        spiked = self._spiked(step)
        p, by_h, by_t = self._flow(step, self.state)
        self.state = p
        before = torch.where(step.bound, -by_h, self.q + spiked) + by_t
        self._arrived(step, self.q + by_h)
        eta = by_h + self.q + spiked
        self.q = before
        for raised in step.raised:
            self._crossed(step, raised, eta)

    def _traces(self, step: Round) -> None:
        """What recorded values add at a grid point."""
        if not self.traces or not len(step.passed):
            return
        at = step.row[step.passed] + 1
        inside = at < self.run.steps
        rows, at = step.passed[inside], at[inside]
        for key, trace in self.traces.items():
            self.state[key][rows] += trace[at, rows]

    def _spiked(self, step: Round) -> Tensor:
        """Derivative by the times of the round's spikes."""
        made = torch.zeros_like(self.q)
        for raised in step.raised:
            made[raised.rows] = self.times[raised.event][raised.rows, raised.place].to(made)
        return made

    def _arrived(self, step: Round, by_bound: Tensor) -> None:
        """What the time of an arrival gives to the spike that arrived."""
        for arrived in step.arrived:
            self.times[arrived.event][arrived.rows, arrived.place] += by_bound[arrived.rows]

    # ---- events

    def _reset(self, jump: Jump, code: Code) -> None:
        outcomes = code.block.outcomes.values()
        rows, who = jump.rows, jump.who
        p: dict[str, Value] = {}
        for outcome in outcomes:
            x = self.state[outcome.ref.variable]
            p[outcome.line] = x[rows, who][:, None]
            x[rows, who] = 0
        self._to_elements(code, rows, who, jump.seen, code.pull(jump.seen, p, self.run.f))

    def _to_elements(
        self, code: Code, rows: Tensor, who: Tensor, seen: Mapping[str, Value],
        bars: Mapping[str, Value],
    ) -> None:  # fmt: skip
        """Give derivatives to one element of each of some trials, and to its parameters."""
        shape = torch.Size((len(rows), 1))
        for name, bar in bars.items():
            key = key_of(code.slot, name)
            if key is None:
                continue
            if key in self.state:
                self.state[key][rows, who] += summed(bar, shape)[:, 0]
            else:
                self._to_parameter(key, who, summed(bar, shape)[:, 0])

    def _to_parameter(self, key: str, who: Tensor, bar: Tensor) -> None:
        found = self.found[key]
        if found.numel() == 1:
            found += bar.sum()
        else:
            found.view(-1).index_add_(0, who, bar)

    def _delivered(self, jump: Jump, bundle: Bundle) -> None:
        rows, who, code = jump.rows, jump.who, bundle.code
        held = None if bundle.held is None else bundle.held[who]
        p: dict[str, Value] = {}
        for outcome in code.block.outcomes.values():
            x, index = self.state[outcome.ref.variable], outcome.ref.index or ""
            whole = index in bundle.whole
            places = None if whole else bundle.index[index][who]
            bar = x[rows] if places is None else x[rows[:, None], places]
            p[outcome.line] = bar if held is None else bar * held
            if outcome.kind == "new":
                _clear(x, rows, places, held)
        shape = torch.Size((len(rows), bundle.synapses.shape[1]))
        for name, bar in code.pull(jump.seen, p, self.run.f).items():
            key = key_of(code.slot, name)
            if key is None:
                continue
            ref = code.slot.refs.get(name)
            where = bundle.synapses if ref is None or ref.index is None else bundle.index[ref.index]
            full = summed(bar, shape)
            full = full if held is None else full * held
            if key in self.state:
                x = self.state[key]
                flat = (rows[:, None] * x.shape[1] + where[who]).reshape(-1)
                x.view(-1).index_add_(0, flat, full.reshape(-1))
            elif self.found[key].numel() == 1:
                self.found[key] += full.sum()
            else:
                self._to_table(bundle, name, who, full)

    def _to_table(self, bundle: Bundle, name: str, who: Tensor, bar: Tensor) -> None:
        """Gather derivatives by source and synapse; `go_back` gives them to their elements."""
        key = (id(bundle), name)
        if key not in self.tables:
            self.tables[key] = bundle, name, bar.new_zeros(bundle.synapses.shape)
        self.tables[key][2].index_add_(0, who, bar)

    # ---- flow

    def _flow(self, step: Round, p: State) -> tuple[State, Tensor, Tensor]:
        """Derivatives by the state before a round, by its length, and by its time."""
        run = self.run
        by_h, by_t = torch.zeros_like(self.q), torch.zeros_like(self.q)
        flown = {o.ref.variable for c in run.network.flows.values()
                 for o in c.block.outcomes.values()}  # fmt: skip
        made = {key: x for key, x in p.items() if key not in flown}
        for code in run.network.flows.values():
            seen = run.everywhere(code, step.state, step.t, step.h, step.row)
            given: dict[str, Value] = {o.line: p[o.ref.variable]
                                       for o in code.block.outcomes.values()}  # fmt: skip
            for name, bar in code.pull(seen, given, run.f).items():
                clock = code.slot.clock.get(name)
                if clock is not None:
                    total = summed(bar, torch.Size((run.batch, 1)))[:, 0]
                    by_h, by_t = (by_h + total, by_t) if clock == "dt" else (by_h, by_t + total)
                    continue
                key = key_of(code.slot, name)
                assert key is not None
                if key in p:
                    full = summed(bar, p[key].shape)
                    made[key] = made[key] + full if key in made else full
                else:
                    self.found[key] += summed(bar, self.found[key].shape)
        own = {key: made.get(key, torch.zeros_like(x)) for key, x in p.items()}
        return _apart(own, p), by_h, by_t

    def _crossed(self, step: Round, raised: Raised, eta: Tensor) -> None:
        """What follows from the time of a crossing."""
        rows, who = raised.rows[raised.crossed], raised.who[raised.crossed]
        if not len(rows):
            return
        run, code = self.run, self.run.network.margins[raised.event]
        flow = run.network.flows.get(raised.event.partition(".")[0])
        if flow is None:
            return
        h = step.h[rows]
        later = run.flowed(raised.event, step.state, rows, who, step.t, h, step.row)
        seen = run.elements(code, step.state, rows, who, step.t, h, step.row)
        names = {name: key for name in code.reads if (key := key_of(code.slot, name)) in later}
        seen |= {name: later[key] for name, key in names.items()}
        ones = torch.ones(len(rows), 1, dtype=run.numbers.dtype, device=run.device)
        slopes = code.pull(seen, {"_value": ones}, run.f)
        given: dict[str, Value] = {
            o.line: torch.zeros_like(ones) for o in flow.block.outcomes.values()
        }
        lines = {o.ref.variable: o.line for o in flow.block.outcomes.values()}
        for name, key in names.items():
            if name in slopes:
                given[lines[key]] = slopes[name] * ones
        before = run.elements(flow, step.state, rows, who, step.t, h, step.row)
        bars = flow.pull(before, given, run.f)
        dt = [name for name in bars if flow.slot.clock.get(name) == "dt"]
        speed = sum((summed(bars[name], ones.shape) for name in dt), torch.zeros_like(ones))
        factor = -eta[rows][:, None] / self._guarded(raised.event, speed)
        scaled = {name: bar * factor for name, bar in bars.items()}
        self._to_elements(flow, rows, who, before, scaled)
        outside = {name: bar * factor for name, bar in slopes.items() if name not in names}
        self._to_elements(code, rows, who, seen, outside)
        for name in bars:
            if flow.slot.clock.get(name) == "t":
                self.q[rows] += summed(scaled[name], ones.shape)[:, 0]

    def _guarded(self, event: str, speed: Tensor) -> Tensor:
        """Velocities of margins, of which none is too small to divide by."""
        run = self.run
        least = self.least * float(run.size[event]) / (run.steps * run.dt)
        self.grazing += int((speed < least).sum())
        return speed.clamp(min=least)


def _apart(made: State, given: State) -> State:
    """Tensors of which each can be changed in place without changing another."""
    seen = {id(x) for x in given.values()}
    found: State = {}
    for key, x in made.items():
        found[key] = x.clone() if id(x) in seen or not x.is_contiguous() else x
        seen.add(id(x))
    return found


def _clear(x: Tensor, rows: Tensor, places: Tensor | None, held: Tensor | None) -> None:
    """Take derivatives away from what was overwritten."""
    if places is None:
        x[rows] = 0
        return
    zero = x.new_zeros(len(rows), places.shape[1])
    x[rows[:, None], places] = (
        zero if held is None else torch.where(held, x[rows[:, None], places], 0)
    )
