"""Recognise: which populations and projections a Program holds, by its equations alone.

A right-hand side is linear if its derivatives by the state do not depend on the state; they give
its coefficients. Whatever is not recognised is listed.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mirrorneuron.errors import GradientError

from ..genn.host import evaluate
from ..lower.condition import All, Margin, condition_of
from ..lower.derivative import derivative
from ..lower.expression import names, substitute
from ..lower.step import updated
from ..program import Array, Deliver, Program, Slot, Threshold, Update
from .graph import Graph, Population, Projection

SOURCES = ("SpikeGeneratorGroup", "PoissonGroup")
Values = Callable[[str], Array]


class Unknown(Exception):
    """A part of a network for which NIR has no word."""


@dataclass
class Recogniser:
    """Reads a Program.

    Arguments:
        program: The network.
        value: Gives the present value of a variable or constant, in SI units.

    Attributes:
        unknown: What was not recognised, a sentence each.
        known: Names of the slots that were.
    """

    program: Program
    value: Values
    unknown: list[str] = field(default_factory=list[str])
    known: set[str] = field(default_factory=set[str])

    def graph(self) -> Graph:
        """Populations and projections of the network."""
        populations: dict[str, Population] = {}
        self.pulses: dict[str, str] = {}
        for name, group in self.program.groups.items():
            if group.kind in SOURCES:
                self.known |= {slot.name for slot in self.program.slots if slot.owner == name}
                populations[name] = Population(name, group.size)
            elif group.kind == "NeuronGroup":
                made = self._tried(name, lambda name=name: self._population(name))
                populations |= {name: made} if made else {}
        projections = [
            made
            for path in self.program.pathways.values()
            if (made := self._tried(path.owner, lambda p=path: self._projection(p, populations)))
        ]
        for slot in self.program.slots:
            if slot.name not in self.known and not self._said(slot.owner):
                self.unknown.append(f"{slot.name!r} of {slot.owner!r}: {slot.purpose}")
        feeding = {made.source for made in projections}
        outputs = [n for n, p in populations.items() if not p.is_source and n not in feeding]
        return Graph(self.program.dt, populations, projections, outputs)

    def _tried(self, name: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except Unknown as error:
            self.unknown.append(f"{self.program.groups[name].kind} {name!r}: {error}")
        except GradientError as error:
            self.unknown.append(f"{self.program.groups[name].kind} {name!r}: {error}")
        return None

    def _said(self, name: str) -> bool:
        group = self.program.groups.get(name)
        head = f"{group.kind} {name!r}:" if group else f"{name!r}:"
        return any(line.startswith(head) for line in self.unknown)

    # ---- populations

    def _population(self, name: str) -> Population:
        states = [k.partition(".")[2] for k in self.program.rates if k.startswith(f"{name}.")]
        if not states:
            raise Unknown("it has no differential equations, or they have noise")
        trees = {state: _inlined(self.program.rates[f"{name}.{state}"]) for state in states}
        self.known |= {slot.name for slot in self.program.motion(name)}
        self.pulses |= dict(self._pulses(name))
        crossing = self._threshold(name, states)
        potential = crossing[0] if crossing else _last(states, trees)
        currents = [state for state in states if state != potential]
        if len(currents) > 1:
            raise Unknown(f"it has {len(states)} differential equations, and NIR has two at most")
        values, bias = self._coefficients(name, potential, currents, trees)
        if crossing:
            values["v_threshold"] = crossing[1]
            values["v_reset"] = self._reset(name, potential)
        size = self.program.groups[name].size
        values = {key: np.broadcast_to(x, size).astype(float) for key, x in values.items()}
        if bias is None or not np.any(bias != 0):
            return Population(name, size, values)
        return Population(name, size, values, np.broadcast_to(bias, size))

    def _pulses(self, name: str) -> Iterator[tuple[str, str]]:
        """Inputs that last a step: variables that are set to zero in each."""
        moving = {slot.name for slot in self.program.motion(name)}
        for slot in self.program.slots_of(Update, name):
            if slot.name in moving or slot.every != 1:
                continue
            match [(s.target, s.op, s.expression) for s in slot.statements]:
                case [(target, "=", "0" | "0.0")] if target in slot.refs:
                    self.known.add(slot.name)
                    yield name, slot.refs[target].variable
                case _:
                    pass

    def _threshold(self, name: str, states: list[str]) -> tuple[str, Array] | None:
        """The variable that crosses the threshold, and where that is."""
        slots = list(self.program.slots_of(Threshold, name))
        if not slots:
            return None
        if len(slots) > 1 or slots[0].event != f"{name}.spike":
            raise Unknown("it raises events beside its spikes, and NIR has spikes alone")
        slot = slots[0]
        _, condition = condition_of(slot)
        if slot.refractory or isinstance(condition, All):
            raise Unknown("it has a refractory period, or a threshold of several conditions")
        if not isinstance(condition, Margin) or not condition.strict:
            raise Unknown(f"its threshold is no comparison v > v_threshold: {slot.statements[-1]}")
        tree = _inlined(slot, condition.tree)
        crossing = [s for s in states if s in names(tree)]
        if len(crossing) != 1:
            raise Unknown("its threshold compares several variables")
        slope = self._fixed(slot, derivative(tree, crossing[0]))
        if not np.all(slope == 1):
            raise Unknown("its threshold is not v > v_threshold")
        self.known.add(slot.name)
        return crossing[0], -self._at_zero(slot, tree, {crossing[0]})

    def _reset(self, name: str, potential: str) -> Array:
        slots = list(self.program.resets(f"{name}.spike"))
        statements = [s for slot in slots for s in slot.statements if s.target in slot.refs]
        if len(statements) != 1 or statements[0].target != potential or statements[0].op != "=":
            listed = "; ".join(map(str, statements)) or "nothing"
            raise Unknown(f"its reset is {listed!r}, and NIR has v = v_reset alone")
        self.known |= {slot.name for slot in slots}
        return self._fixed(slots[0], _inlined(slots[0], statements[0].tree))

    def _coefficients(
        self, name: str, potential: str, currents: list[str], trees: Mapping[str, ast.expr]
    ) -> tuple[dict[str, Array], Array | None]:
        """Parameters of the equations, and the constant input."""
        slot, tree = self.program.rates[f"{name}.{potential}"], trees[potential]
        pulse = self.pulses.get(name, "").partition(".")[2]
        driver = currents[0] if currents else pulse
        leak = -self._fixed(slot, derivative(tree, potential))
        gain = self._fixed(slot, derivative(tree, driver)) if driver else None
        rest = self._at_zero(slot, tree, {potential, driver, pulse})
        if currents:
            return self._with_current(name, currents[0], trees, leak, gain, rest, pulse)
        bias = self._bias(slot, tree, pulse, gain)
        rest = rest if bias is None or gain is None else rest - gain * bias
        if np.all(leak == 0):
            if not np.all(rest == 0):
                raise Unknown("it has a constant drive and no leak, which NIR has not")
            return {"r": gain if gain is not None else 1 / self._dt(name)}, bias
        tau = self._time(leak, potential)
        r = gain * tau if gain is not None else tau / self.program.dt
        return {"tau": tau, "r": r, "v_leak": rest * tau}, bias

    def _dt(self, name: str) -> Array:
        return np.full(self.program.groups[name].size, self.program.dt)

    def _with_current(
        self, name: str, current: str, trees: Mapping[str, ast.expr],
        leak: Array, gain: Any, rest: Array, pulse: str,
    ) -> tuple[dict[str, Array], Array | None]:  # fmt: skip
        slot, tree = self.program.rates[f"{name}.{current}"], trees[current]
        decay = -self._fixed(slot, derivative(tree, current))
        w_in = self._fixed(slot, derivative(tree, pulse)) if pulse else None
        bias = self._bias(slot, tree, pulse, w_in)
        constant = self._at_zero(slot, tree, {current, pulse})
        constant = constant if bias is None or w_in is None else constant - w_in * bias
        if not np.all(constant == 0):
            raise Unknown(f"d{current}/dt has a constant part, which NIR has not")
        tau, tau_syn = self._time(leak, "v"), self._time(decay, current)
        found = {
            "tau_mem": tau,
            "tau_syn": tau_syn,
            "r": gain * tau,
            "v_leak": rest * tau,
            "w_in": tau_syn / self.program.dt if w_in is None else w_in * tau_syn,
        }
        return found, bias

    def _bias(self, slot: Slot, tree: ast.expr, pulse: str, gain: Any) -> Array | None:
        """Parameters that act as the input of a step does."""
        found: Array | None = None
        for name in sorted(set(names(tree)) & set(slot.refs)) if pulse else ():
            key = slot.refs[name].variable
            if key in self.program.written() or self.program.variables[key].kind != "float":
                continue
            by = derivative(tree, name)
            if self._is_fixed(slot, by, name) and np.array_equal(self._value(slot, by), gain):
                value = self._value(slot, ast.Name(name, ast.Load()))
                found = value if found is None else found + value
        return found

    def _time(self, rate: Array, name: str) -> Array:
        if not np.all(rate > 0):
            raise Unknown(f"d{name}/dt does not decay")
        return 1 / rate

    # ---- projections

    def _projection(self, path: Any, populations: Mapping[str, Population]) -> Projection | None:
        slots = [s for s in self.program.slots_of(Deliver) if s.pathway == path.name]
        source = path.event.partition(".")[0]
        written = [(s, o) for s in slots for o in s.statements if o.target in s.refs]
        if not path.event.endswith(".spike") or path.side != "pre":
            raise Unknown("it reacts to postsynaptic spikes or to events that NIR has not")
        if len(written) != 1:
            listed = "; ".join(str(o) for _, o in written)
            raise Unknown(f"its spikes do {listed!r}, and in NIR they add a weight alone")
        slot, statement = written[0]
        ref = slot.refs[statement.target]
        target = ref.variable.partition(".")[0]
        if (
            ref.index is None
            or target not in self.program.groups
            or statement.op not in ("+=", "-=")
        ):
            raise Unknown(f"its spikes do '{statement}', and in NIR they add a weight alone")
        if statement.target in slot.guards:
            raise Unknown("it acts on neurons only outside their refractory period")
        if target not in populations or source not in populations:
            return None  # which is said already
        weights = self._fixed(slot, _inlined(slot, statement.tree), path.source.shape)
        weights = weights * (1 if statement.op == "+=" else -1)
        post = np.broadcast_to(self.program.indices[ref.index], path.source.shape)
        self.known |= {s.name for s in slots}
        matrix = np.zeros((populations[target].size, populations[source].size))
        np.add.at(matrix, (post, path.source), weights)
        scale = self._scale(populations[target], ref.variable)
        return Projection(source, target, matrix * scale[:, None], self._delay(path))

    def _scale(self, population: Population, key: str) -> Array:
        """What an input of 1 for a step has to be multiplied by, to add 1 to a variable."""
        values, one = population.values, np.ones(population.size)
        if key == self.pulses.get(population.name):
            return one
        name, dt = key.partition(".")[2], self.program.dt
        if "tau_syn" in values:
            if name == self._potential(population.name):
                raise Unknown("its spikes add to the potential of neurons with a synaptic current")
            return values["tau_syn"] / (values["w_in"] * dt)
        if self.program.rates.get(key) is None:
            raise Unknown(f"its spikes change {key}, which is no state of an equation")
        return values.get("tau", one) / (values["r"] * dt)

    def _potential(self, name: str) -> str:
        slot = next(self.program.slots_of(Threshold, name), None)
        states = [k.partition(".")[2] for k in self.program.rates if k.startswith(f"{name}.")]
        if slot is None:
            return _last(states, {s: _inlined(self.program.rates[f"{name}.{s}"]) for s in states})
        _, condition = condition_of(slot)
        tree = condition.tree if isinstance(condition, Margin) else slot.statements[-1].tree
        return next(s for s in states if s in names(_inlined(slot, tree)))

    def _delay(self, path: Any) -> Array | None:
        """Delay of each source, where all of its synapses have it."""
        if not path.delay.size or not path.delay.any():
            return None
        delay = np.zeros(path.n_sources)
        delay[path.source] = path.delay
        if not np.array_equal(delay[path.source], path.delay):
            raise Unknown("its delays differ between the synapses of one neuron, and NIR's do not")
        return delay * self.program.every(path.event) * self.program.dt

    # ---- values

    def _varying(self, slot: Slot) -> set[str]:
        written = self.program.written()
        return {n for n, ref in slot.refs.items() if ref.variable in written} | {
            n for n, meaning in slot.clock.items() if meaning != "dt"
        }

    def _is_fixed(self, slot: Slot, tree: ast.expr, *more: str) -> bool:
        varying = self._varying(slot) | {*more} | set(slot.tables) | set(slot.samplers)
        return not set(names(tree)) & (varying | {"rand", "randn", "poisson"})

    def _fixed(self, slot: Slot, tree: ast.expr, shape: tuple[int, ...] | None = None) -> Array:
        """The value of a tree that does not change during a run."""
        if not self._is_fixed(slot, tree):
            raise Unknown(f"{ast.unparse(tree)} changes during a run, so that it is not linear")
        found = np.asarray(self._value(slot, tree), dtype=float)
        return np.broadcast_to(found, (slot.size,) if shape is None else shape)

    def _at_zero(self, slot: Slot, tree: ast.expr, states: set[str]) -> Array:
        """The value of a tree where states are zero; nothing else may change during a run."""
        zeros = {name: ast.Constant(0.0) for name in states if name}
        return self._fixed(slot, substitute(tree, zeros))

    def _value(self, slot: Slot, tree: ast.expr) -> Any:
        known: dict[str, Any] = {"pi": np.pi, "e": np.e, "inf": np.inf}
        for name in set(names(tree)):
            if name in slot.refs:
                ref = slot.refs[name]
                whole = np.asarray(self.value(ref.variable))
                index = None if ref.index is None else self.program.indices[ref.index]
                known[name] = (
                    whole if index is None or whole.size == 1 else whole.reshape(-1)[index]
                )
            elif name in slot.constants:
                known[name] = self.value(slot.key(name))
            elif name in slot.clock:
                known[name] = slot.clock_dt
        return np.asarray(evaluate(tree, known, {}), dtype=float)


def _inlined(slot: Slot, tree: ast.expr | None = None) -> ast.expr:
    """The last value of a slot, or another tree, with local names written out."""
    local: dict[str, ast.expr] = {}
    for statement in slot.statements:
        if statement.target not in slot.refs:
            local[statement.target] = substitute(updated(statement), local)
    last = ast.Name(slot.statements[-1].target, ast.Load()) if tree is None else tree
    return substitute(last, local)


def _last(states: list[str], trees: Mapping[str, ast.expr]) -> str:
    """The state that depends on the others: the potential."""
    if len(states) == 1:
        return states[0]
    return next((s for s in states if set(names(trees[s])) & (set(states) - {s})), states[0])
