"""The eager backend: one generated torch step, looped.

Every slot of a Program becomes one Python function over tensors; parts of its statements that
cannot change during a run are computed once, in `prelude`. The text is in `Eager.source`. This
backend covers every feature and defines the gradients: the others are compared with it.
"""

import ast
import keyword
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...lower.aged import is_last_update, left_by_statement, only_ages
from ...lower.condition import (
    All,
    Chance,
    Condition,
    Either,
    Margin,
    Not,
    Truth,
    condition_of,
)
from ...lower.crossing import Crossing, crossing
from ...lower.dataflow import Dataflow, draws, mentioned, whole_arguments
from ...lower.expression import Renderer, hoist, names
from ...lower.functions import RANDOM
from ...lower.kinds import kind_of, kinds_of, margin_with_kinds, with_kinds
from ...lower.simplify import with_bounded, without_signs
from ...lower.step import (
    Accumulate,
    Define,
    Keep,
    Operation,
    Overwrite,
    Scale,
    Write,
    is_synaptic,
    one_by_one,
    operations,
    updated,
)
from ...program import (
    Deliver,
    Generate,
    Host,
    Program,
    Ref,
    Reset,
    Slot,
    Sum,
    Threshold,
    Update,
    Value,
)
from .._generated import executed
from .sharing import share

BUILTINS = {"float": float}  # all that the code may use of Python's own functions
State = dict[str, Any]
Step = Callable[..., Any]


class Cross(NamedTuple):
    """The crossing of a threshold as code.

    Arguments:
        variable: Key of the variable that a spike carries over the threshold.
        values: Gives the margin, and the value of the variable at margin zero; of an escape rate,
            the probability of a spike, and nothing.
        escapes: Whether it is an escape rate.
    """

    variable: str
    values: Step
    escapes: bool


class Answer(NamedTuple):
    """A reset as code.

    Arguments:
        values: Gives the new values.
        keys: Of the variables that change.
        draws: Whether the statements draw random numbers.
    """

    values: Step
    keys: list[str]
    draws: bool


@dataclass(frozen=True)
class Code:
    """Code of a Program.

    Arguments:
        source: The generated text.
        prelude: Computes what does not change during a run from the variables' values.
        slots: One function for each slot, which changes the state in place; that of a value
            returns it.
        crossings: How a threshold is crossed, by its event.
        resets: What answers an event.
    """

    source: str
    prelude: Callable[[Mapping[str, Any], Any], list[Any]]
    slots: tuple[Step, ...]
    crossings: Mapping[str, Cross]
    resets: Mapping[str, Answer]


def compile_program(
    program: Program,
    driven: frozenset[str] = frozenset(),
    trained: frozenset[str] = frozenset(),
    slots: Sequence[Slot] | None = None,
) -> Code:
    """Generate code.

    Arguments:
        program: The network.
        driven: Keys of variables, or names of TimedArrays, that inputs set at each step.
        trained: Keys of namespace constants that are parameters of the model.
        slots: What to compile, by default the whole step.
    """
    prelude = Prelude()
    varying = program.written() | driven
    chosen = enumerate(program.slots if slots is None else slots, 1)
    writers = [_writer(program, slot, k, prelude, varying, trained) for k, slot in chosen]
    bodies = ["\n".join(writer.function()) for writer in writers]
    source = "\n\n\n".join([prelude.text(), *bodies]) + "\n"
    scope = executed(source, "mirror", {"__builtins__": BUILTINS})
    crossings = {
        w.slot.event: Cross(
            w.crossing.variable, scope[w.title_of_crossing], w.crossing.place is None
        )
        for w in writers
        if isinstance(w, _Threshold) and w.crossing is not None
    }
    resets = {
        w.slot.event: Answer(scope[w.title_of_values], w.keys, draws(program, w.slot))
        for w in writers
        if isinstance(w, _Reset)
    }
    steps = tuple(scope[w.title] for w in writers)
    return Code(source, scope["prelude"], steps, crossings, resets)


@dataclass
class Prelude:
    """Lines computed once a run; `keep` returns the text by which a step refers to one."""

    lines: list[str] = field(default_factory=list[str])
    known: dict[str, str] = field(default_factory=dict[str, str])

    def keep(self, text: str) -> str:
        if text not in self.known:
            self.known[text] = f"K[{len(self.lines)}]"
            self.lines.append(text)
        return self.known[text]

    def text(self) -> str:
        body = [f"    K.append({line})" for line in self.lines]
        return "\n".join(["def prelude(V, c):", "    K = []", *body, "    return K"])


def _writer(
    program: Program,
    slot: Slot,
    number: int,
    prelude: Prelude,
    changing: Set[str],
    trained: frozenset[str],
) -> "Writer":
    """What writes the code of a slot."""
    made = program, slot, number, prelude, changing, trained
    match slot:
        case Threshold():
            return _Threshold(*made)
        case Reset():
            return _Reset(*made)
        case Sum():
            return _Summed(*made)
        case Generate():
            return _Generator(*made)
        case Value():
            return _Value(*made)
        case Host():
            return _Host(*made)
        case _:
            return (_Synapses if is_synaptic(program, slot) else Writer)(*made)


class Writer:
    """Text of one slot's function: here, a state update of all elements."""

    def __init__(
        self,
        program: Program,
        slot: Slot,
        number: int,
        prelude: Prelude,
        changing: Set[str],
        trained: frozenset[str],
    ) -> None:
        self.program, self.slot, self.prelude, self.trained = program, slot, prelude, trained
        self.title = f"slot_{number}_{_identifier(slot.name)}"
        self.flow = Dataflow(program, slot, changing, trained)
        self.varying = self.flow.varying
        self.whole = whole_arguments(program, slot)
        self.kinds = kinds_of(program, slot)
        self.fixed: dict[str, str] = {}
        self.lines: list[str] = []
        self.once, self.target = False, ""

    def function(self) -> Iterator[str]:
        """The whole function."""
        yield f"def {self.title}(S, K, c):"
        self.body()
        for line in share(self.lines) or ["pass"]:
            yield f"    {line}"

    def body(self) -> None:
        """Load, compute, store."""
        self.compute()
        self.store()

    def compute(self) -> None:
        """Load the variables and execute the operations."""
        self.load()
        for operation in operations(self.program, self.slot):
            self.operate(operation)

    def emit(self, line: str) -> None:
        """Add a line."""
        self.lines.append(line)

    # ---- expressions

    def text(self, node: ast.expr) -> str:
        """An expression, its unchanging parts moved to the prelude."""
        return self.plain(with_kinds(node, self.kinds))

    def plain(self, node: ast.expr) -> str:
        """Likewise, of an expression in which what numpy does to types is written out."""
        return self.render(self.hoisted(node))

    def hoisted(self, node: ast.expr) -> ast.expr:
        """The tree in its cheapest form, its unchanging parts moved to the prelude."""
        return hoist(with_bounded(without_signs(node), self.flow.numbers), self.varying, self._keep)

    def _keep(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name) and node.id in self.fixed:
            return node
        return ast.Name(id=self.kept(node), ctx=ast.Load())

    def kept(self, node: ast.expr) -> str:
        """Have an unchanging expression computed once; how a step refers to it."""
        return self.prelude.keep(Renderer(self._constant, self._call)(node))

    @property
    def render(self) -> Renderer:
        """Renderer for the step's own code."""
        return Renderer(self._name, self._call)

    def _name(self, name: str) -> str:
        if name in self.fixed:
            return self.fixed[name]
        if name in self.slot.clock:
            return {"t": "c.t", "dt": repr(self.slot.clock_dt), "step": "c.step"}[
                self.slot.clock[name]
            ]
        return name if name.startswith("K[") else _identifier(name)

    def _constant(self, name: str) -> str:
        slot = self.slot
        if name in self.fixed:
            return self.fixed[name]
        if name in slot.constants:
            key = slot.key(name)
            return f"V[{key!r}]" if key in self.trained else _number(slot.constants[name])
        if name in slot.refs:
            return self.look_up("V", slot.refs[name])
        if name in slot.clock:
            return repr(slot.clock_dt)
        return {"pi": "3.141592653589793", "e": "2.718281828459045", "inf": "float('inf')"}[name]

    def look_up(self, source: str, ref: Ref) -> str:
        """A variable, as the elements of this slot see it."""
        text = self.held(source, ref.variable)
        return f"c.pick({text}, {ref.index!r})" if ref.index else text

    def held(self, source: str, variable: str) -> str:
        """The values of a variable, ready to be computed with."""
        text = f"{source}[{variable!r}]"
        return f"c.widen({text})" if self.program.variables[variable].single else text

    def _call(self, name: str, args: list[str]) -> str:
        if name in RANDOM:
            return self.draw(name, args)
        if name in self.slot.samplers:
            sampler = self.slot.samplers[name]
            return self.draw(sampler.kind, [_number(arg) for arg in sampler.args])
        key = self.slot.functions.get(name)
        if key in self.program.functions:
            sites = "None" if self.once else self.extent().partition(", ")[2]
            return f"c.call({', '.join([repr(key), repr(self.whole[name]), sites, *args])})"
        if name in self.slot.tables:
            return f"c.table({', '.join([repr(self.slot.tables[name]), *args])})"
        return f"c.f.{name}({', '.join(args)})"

    def draw(self, kind: str, args: list[str]) -> str:
        """Random numbers, one for each element."""
        extent = "1, None" if self.once else self.extent()
        return f"c.draw({', '.join([repr(kind), extent, *args])})"

    def extent(self) -> str:
        """How many random numbers a call draws, and for which elements."""
        guard = self.slot.guards.get(self.target)
        mask = f"c.within({self._name(guard)})" if guard else "None"
        return f"{self.slot.size}, {mask}"

    # ---- statements

    def load(self) -> None:
        """Bring the variables into local names."""
        self.load_names(mentioned(self.slot))

    def load_names(self, wanted: set[str]) -> None:
        """Bring some of the variables, those that vary, into local names."""
        for name in self.slot.refs:
            if name in wanted and name in self.varying:
                self.emit(f"{_identifier(name)} = {self.look_up('S', self.slot.refs[name])}")

    def operate(self, operation: Operation) -> None:
        """One operation."""
        self.once, self.target = operation.once, operation.name
        match operation:
            case Write():
                self.write(operation)
            case _ if operation.name in self.varying:
                self.emit(f"{_identifier(operation.name)} = {self.text(operation.tree)}")
            case _:
                self.fixed[operation.name] = self.kept(with_kinds(operation.tree, self.kinds))

    def write(self, operation: Write) -> None:
        """Give a variable its new value, where its guard lets it."""
        local, value = _identifier(operation.name), self.stored(operation)
        if operation.guard:
            value = f"c.f.where({self._name(operation.guard)}, {value}, {local})"
        self.emit(f"{local} = {value}")

    def stored(self, operation: Write) -> str:
        """The value of an operation as its variable keeps it: of a whole number 32 bits."""
        value = self.text(operation.tree)
        if self.program.variables[operation.ref.variable].kind != "integer":
            return value
        kind = kind_of(operation.tree, self.kinds)
        return f"c.f.int(c.f.wrap({value}))" if kind == "int64" else f"c.f.int({value})"

    def store(self) -> None:
        """Put the written variables back into the state."""
        for name in dict.fromkeys(s.target for s in self.slot.statements):
            ref = self.slot.refs.get(name)
            if ref is not None:
                old = f"S[{ref.variable!r}]"
                put = (
                    f"c.put({old}, {ref.index!r}, {_identifier(name)})"
                    if ref.index
                    else (f"c.fit({_identifier(name)}, {old})")
                )
                self.emit(f"{old} = {put}")


class _Threshold(Writer):
    """Raises events where a condition holds, and starts the refractory period."""

    slot: Threshold

    @property
    def imposed(self) -> bool:
        """Whether an input gives the events, and nothing has to be tested or drawn."""
        given = self.slot.event in self.flow.changing
        return given and not draws(self.program, self.slot)

    @cached_property
    def crossing(self) -> Crossing | None:
        """Which variable crosses the threshold."""
        return None if self.imposed else crossing(self.program, self.slot)

    @property
    def title_of_crossing(self) -> str:
        """Name of the function that says where the threshold is crossed."""
        return f"{self.title}_crossing"

    def function(self) -> Iterator[str]:
        """The whole function, and that of the crossing."""
        if self.crossing is not None:
            yield from self._crossing(self.crossing)
            self.lines = []
        yield from super().function()

    def _crossing(self, crossing: Crossing) -> Iterator[str]:
        yield f"def {self.title_of_crossing}(S, K, c):"
        self.once, self.target = False, ""
        self.load_names({name for part in crossing[1:] if part for name in names(part)})
        place = self.text(crossing.place) if crossing.place else None
        self.emit(f"return {self.text(crossing.margin)}, {place}")
        for line in self.lines:
            yield f"    {line}"
        yield from ("", "")

    def body(self) -> None:
        if self.imposed:
            self.raise_events("False")
            return
        self.load()
        before, condition = condition_of(self.slot)
        for statement in before:
            self.operate(Define(statement.target, updated(statement), statement.scalar))
        last = self.slot.statements[-1]
        self.once, self.target = last.scalar, last.target
        self.raise_events(self.condition(condition))

    def raise_events(self, condition: str) -> None:
        """Raise events where a condition holds, and start the refractory period."""
        owner, key = self.slot.owner, self.slot.event
        self.emit(f"S[{key!r}] = c.events({key!r}, {condition}, {self.slot.size})")
        if self.slot.refractory:
            for name, value in (("not_refractory", "False"), ("lastspike", "c.t")):
                state = f"S['{owner}.{name}']"
                self.emit(f"{state} = c.mark({state}, S[{key!r}], {value})")

    def condition(self, node: Condition) -> str:
        """A condition as text: a truth value, or a spike, which carries gradient."""
        event = repr(self.slot.event)
        match node:
            case Truth(tree):
                return self.text(tree)
            case Margin(tree, strict):
                margin = self.plain(margin_with_kinds(tree, self.kinds))
                return f"c.spike({event}, {margin}, {strict}, S, K)"
            case Chance(draw, probability, strict, below):
                texts = f"{self.text(draw)}, {self.text(probability)}"
                call = f"c.escape({event}, {texts}, {strict}, S, K)"
                return call if below else f"c.neither({call})"
            case All(parts):
                return f"c.both({', '.join(map(self.condition, parts))})"
            case Either(parts):
                return f"c.either({', '.join(map(self.condition, parts))})"
            case Not(part):
                return f"c.neither({self.condition(part)})"


class _Reset(Writer):
    """Statements for the elements with an event."""

    slot: Reset

    def function(self) -> Iterator[str]:
        """What the statements give, and the function that applies it."""
        yield f"def {self.title_of_values}(S, K, c, e):"
        self.body()
        for line in share(self.lines):
            yield f"    {line}"
        yield from ("", "")
        yield f"def {self.title}(S, K, c):"
        yield f"    c.reset({self.slot.event!r}, S, K)"

    @property
    def title_of_values(self) -> str:
        """Name of the function that gives the new values."""
        return f"{self.title}_values"

    def extent(self) -> str:
        return f"{self.slot.size}, c.sites(e)"

    @property
    def keys(self) -> list[str]:
        """Keys of the variables that change."""
        return [self.slot.refs[name].variable for name in self._targets()]

    def _targets(self) -> list[str]:
        """Local names of the variables that change."""
        assigned = dict.fromkeys(s.target for s in self.slot.statements)
        return [name for name in assigned if name in self.slot.refs]

    def store(self) -> None:
        self.emit(f"return [{', '.join(map(_identifier, self._targets()))}]")


class _Synapses(Writer):
    """Statements for the synapses that events reach, or for all of them one after the other."""

    slot: Deliver | Update

    def body(self) -> None:
        if isinstance(self.slot, Deliver):
            self.emit(f"a = c.arrive({self.slot.pathway!r}, S)")
        else:
            self.emit(f"a = c.everyone({self.slot.size})")
        self.emit("if a.idle: return")
        self.fresh: set[str] = set()
        if self.slot.sequential:
            alone = one_by_one(self.program, self.slot)
            self.emit(f"for a in a.sequence([{', '.join(self._touched())}], {alone}):")
        start = len(self.lines)
        ages = left_by_statement(self.program, self.slot)
        self.changes: dict[str, bool] = {}
        for number, operation in enumerate(operations(self.program, self.slot)):
            if number in ages:
                self.once, self.target = False, ""
                self.emit(f"_left_{operation.name} = {self.text(ages[number])}")
            self.operate(operation)
            if number in ages:
                self.emit(f"_now_{operation.name} = {_identifier(operation.name)}")
                self.changes[operation.name] = True
        self.keep()
        if self.slot.sequential:
            self.lines[start:] = [f"    {line}" for line in self.lines[start:]]

    def keep(self) -> None:
        """Store what synaptic variables have become, where a spike came."""
        timeless = isinstance(self.slot, Deliver) and only_ages(self.program, self.slot)
        for name, ages in self.changes.items():
            ref, now = self.slot.refs[name], f", _now_{name}, _left_{name}" if ages else ""
            state = f"S[{ref.variable!r}]"
            do = "mark" if timeless and is_last_update(ref) else "keep"
            self.emit(f"{state} = a.{do}({state}, {_identifier(name)}{now})")

    def _is_own(self, operation: Keep) -> bool:
        """Whether each synapse has a value of its own, which nothing else in the slot sees."""
        same = [r for r in self.slot.refs.values() if r.variable == operation.ref.variable]
        return not operation.once and len(same) == 1

    def _touched(self) -> Iterator[str]:
        """For each variable of neurons that changes, the indices by which it is seen."""
        changed = (ref.variable for ref in self.flow.targets() if ref.index)
        for variable in dict.fromkeys(changed):
            seen = self.flow.seen_through(variable)
            yield f"[{', '.join(f'c.index({index!r})' for index in seen)}]"

    def extent(self) -> str:
        guard = self.slot.guards.get(self.target)
        if guard is None:
            return f"{self.slot.size}, a.sites()"
        ref = self.slot.refs[guard]
        return f"{self.slot.size}, a.sites({self.look_at(ref)})"

    def _call(self, name: str, args: list[str]) -> str:
        text = super()._call(name, args)
        varies = self.slot.functions.get(name) in self.program.functions or name in RANDOM
        return f"a.shared({text})" if self.once and varies else text  # one value of each trial

    def look_at(self, ref: Ref) -> str:
        """A variable as the synapses see it."""
        text = self.held("S", ref.variable)
        if self.program.variables[ref.variable].scalar:
            return f"a.shared({text})"
        return f"a.at({text}, c.index({ref.index!r}))" if ref.index else f"a.own({text})"

    def plain(self, node: ast.expr) -> str:
        hoisted = self.hoisted(node)
        self._refresh(set(names(hoisted)))
        return self.render(hoisted)

    def _name(self, name: str) -> str:
        text = super()._name(name)
        return f"a.own({text})" if text.startswith("K[") else text

    def _refresh(self, wanted: set[str]) -> None:
        """Read variables that were not read yet, or were changed since."""
        for name in sorted(wanted & set(self.slot.refs) & self.varying - self.fresh):
            self.emit(f"{_identifier(name)} = {self.look_at(self.slot.refs[name])}")
            self.fresh.add(name)

    def write(self, operation: Write) -> None:
        """Change a synaptic variable, or one of the neurons on either side."""
        ref = operation.ref
        state, index = f"S[{ref.variable!r}]", f"c.index({ref.index!r})"
        adds = isinstance(operation, Accumulate | Scale)
        value = self.text(operation.tree) if adds else self.stored(operation)
        if isinstance(operation, Keep) and self._is_own(operation):
            self.emit(f"{_identifier(operation.name)} = a.fitted({state}, {value})")
            self.changes.setdefault(operation.name, False)
            self.fresh.add(operation.name)
            return
        match operation:
            case Accumulate():
                new = f"a.accumulate({state}, {index}, {value})"
            case Scale(divide=divide):
                new = f"c.scale(a, {state}, {index}, {value}, {divide})"
            case Overwrite():
                new = f"a.overwrite({state}, {index}, {value})"
            case _:
                new = f"a.keep({state}, {value})"
        if adds and self.program.variables[ref.variable].kind == "integer":
            new = f"c.f.wrap({new})"
        if operation.guard and not isinstance(operation, Keep):
            condition = f"S[{self.slot.refs[operation.guard].variable!r}]"
            new = f"c.f.where({condition}, {new}, {state})"
        self.emit(f"{state} = {new}")
        self._stale(ref.variable)

    def _stale(self, variable: str) -> None:
        self.fresh -= {n for n, r in self.slot.refs.items() if r.variable == variable}


class _Summed(Writer):
    """A variable that is the sum of an expression over synapses."""

    slot: Sum

    def body(self) -> None:
        self.compute()
        target, (first, last) = self.slot.target, self.slot.span
        state, index = f"S[{target.variable!r}]", f"c.index({target.index!r})"
        value = self._name(self.slot.statements[-1].target)
        self.emit(f"{state} = c.sum({state}, {index}, {value}, {first}, {last})")


class _Value(Writer):
    """What an expression is worth now."""

    def body(self) -> None:
        self.compute()
        self.emit(f"return {self._name(self.slot.statements[-1].target)}")


class _Generator(Writer):
    """Spikes given beforehand."""

    slot: Generate

    def body(self) -> None:
        self.emit(f"S[{self.slot.event!r}] = c.generate({self.slot.owner!r})")


class _Host(Writer):
    """Python of the user's."""

    slot: Host

    def body(self) -> None:
        self.emit(f"c.host({self.slot.name!r}, S)")


def _number(value: float | int | bool) -> str:
    """A number as text, infinity included."""
    return repr(value) if np.isfinite(value) else f"float('{value}')"


def _identifier(name: str) -> str:
    """A Python name for a Brian2 name: the same, unless it means something here."""
    taken = name in {"S", "K", "V", "c", "e", "a"} or keyword.iskeyword(name)
    return f"{name}_" if taken else name
