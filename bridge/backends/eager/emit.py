"""The eager backend: one generated torch step, looped.

Every slot of a Program becomes one Python function over tensors; parts of its statements that
cannot change during a run are computed once, in `prelude`. The text is in `Eager.source`. This
backend covers every feature and defines the gradients: the others are compared with it.
"""

import ast
import keyword
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...lower.crossing import Crossing, crossing
from ...lower.expression import (
    ORDER,
    Renderer,
    hoist,
    names,
    parse,
    substitute,
)
from ...lower.functions import RANDOM
from ...lower.simplify import tame, without_signs
from ...program import Program, Ref, Slot, Statement
from .sharing import share

IN_PLACE: dict[str, ast.operator] = {
    "+=": ast.Add(),
    "-=": ast.Sub(),
    "*=": ast.Mult(),
    "/=": ast.Div(),
}
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


class Reset(NamedTuple):
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
    resets: Mapping[str, Reset]


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
    prelude = _Prelude()
    varying = program.written() | driven
    chosen = enumerate(program.slots if slots is None else slots, 1)
    writers = [_writer(program, slot, k, prelude, varying, trained) for k, slot in chosen]
    bodies = ["\n".join(writer.function()) for writer in writers]
    source = "\n\n\n".join([prelude.text(), *bodies]) + "\n"
    scope: dict[str, Any] = {}
    exec(compile(source, "<mirror>", "exec"), scope)
    crossings = {
        str(w.slot.event): Cross(
            w.crossing.variable, scope[w.title_of_crossing], w.crossing.place is None
        )
        for w in writers
        if isinstance(w, _Threshold) and w.crossing is not None
    }
    resets = {
        str(w.slot.event): Reset(scope[w.title_of_values], w.keys, w.draws)
        for w in writers
        if isinstance(w, _Reset)
    }
    steps = tuple(scope[w.title] for w in writers)
    return Code(source, scope["prelude"], steps, crossings, resets)


@dataclass
class _Prelude:
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
    prelude: _Prelude,
    varying: set[str] | frozenset[str],
    trained: frozenset[str],
) -> "_Writer":
    kinds: dict[str, type[_Writer]] = {
        "threshold": _Threshold,
        "reset": _Reset,
        "synapses": _Synapses,
        "summed": _Summed,
        "generator": _Generator,
        "value": _Value,
    }
    if slot.kind == "threshold" and slot.event in varying and not _may_draw(program, slot):
        return _Imposed(program, slot, number, prelude, varying, trained)
    kind = _Synapses if slot.kind == "update" and _meet(program, slot) else kinds.get(slot.kind)
    return (kind or _Writer)(program, slot, number, prelude, varying, trained)


def _meet(program: Program, slot: Slot) -> bool:
    """Whether several elements of a slot write to the same element of a variable."""
    written = (slot.refs[s.target].index for s in slot.statements if s.target in slot.refs)
    arrays = (program.indices[index] for index in written if index is not None)
    return any(len(np.unique(array)) < len(array) for array in arrays)


class _Writer:
    """Text of one slot's function: here, a state update of all elements."""

    def __init__(
        self,
        program: Program,
        slot: Slot,
        number: int,
        prelude: _Prelude,
        varying: set[str] | frozenset[str],
        trained: frozenset[str],
    ) -> None:
        self.program, self.slot, self.prelude, self.trained = program, slot, prelude, trained
        self.title = f"slot_{number}_{_identifier(slot.name)}"
        self.changing = varying
        self.varying = {n for n, ref in slot.refs.items() if ref.variable in varying}
        self.varying |= {n for n in slot.clock if slot.clock[n] != "dt"} | RANDOM
        self.varying |= set(slot.samplers)
        self.varying |= {n for n, key in slot.functions.items() if key in program.functions}
        self.varying |= {n for n, key in slot.tables.items() if program.tables[key].name in varying}
        self.fixed: dict[str, str] = {}
        self.lines: list[str] = []
        self.single, self.target = False, ""
        self.whole = dict(self._whole_arguments())

    def _whole_arguments(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Functions of users, and which of their arguments are whole numbers."""
        variables = self.program.variables
        whole = {n for n, r in self.slot.refs.items() if variables[r.variable].kind == "integer"}
        for statement in self.slot.statements:
            for node in ast.walk(parse(statement.expression)):
                match node:
                    case ast.Call(func=ast.Name(id=name), args=args):
                        taken = (k for k, a in enumerate(args) if set(names(a)) & whole)
                        yield name, tuple(k for k in taken if isinstance(args[k], ast.Name))
                    case _:
                        pass

    def function(self) -> Iterator[str]:
        """The whole function."""
        yield f"def {self.title}(S, K, c):"
        self.body()
        for line in share(self.lines) or ["pass"]:
            yield f"    {line}"

    def body(self) -> None:
        """Load, compute, store."""
        self.load()
        for statement in self.slot.statements:
            self.statement(statement)
        self.store()

    def emit(self, line: str) -> None:
        """Add a line."""
        self.lines.append(line)

    # ---- expressions

    def text(self, node: ast.expr) -> str:
        """An expression, its unchanging parts moved to the prelude."""
        return self.render(self.hoisted(node))

    def hoisted(self, node: ast.expr) -> ast.expr:
        """The tree in its cheapest form, its unchanging parts moved to the prelude."""
        return hoist(tame(without_signs(node), self._known), self.varying, self._keep)

    @property
    def _known(self) -> dict[str, float]:
        """Numbers that no training and no run changes."""
        slot = self.slot
        fixed = (n for n in slot.constants if slot.key(n) not in self.trained)
        return {n: float(slot.constants[n]) for n in fixed}

    def _keep(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name) and node.id in self.fixed:
            return node
        return ast.Name(id=self._kept(node), ctx=ast.Load())

    def _kept(self, node: ast.expr) -> str:
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
            sites = "None" if self.single else self.extent().partition(", ")[2]
            return f"c.call({', '.join([repr(key), repr(self.whole[name]), sites, *args])})"
        if name in self.slot.tables:
            return f"c.table({', '.join([repr(self.slot.tables[name]), *args])})"
        return f"c.f.{name}({', '.join(args)})"

    def draw(self, kind: str, args: list[str]) -> str:
        """Random numbers, one for each element."""
        extent = "1, None" if self.single else self.extent()
        return f"c.draw({', '.join([repr(kind), extent, *args])})"

    def extent(self) -> str:
        """How many random numbers a call draws, and for which elements."""
        guard = self.slot.guards.get(self.target)
        mask = f"c.within({self._name(guard)})" if guard else "None"
        return f"{self.slot.size}, {mask}"

    # ---- statements

    def used(self) -> set[str]:
        """Names that the statements mention."""
        mentioned = set[str]()
        for statement in self.slot.statements:
            mentioned |= set(names(parse(statement.expression))) | {statement.target}
            mentioned |= {g for t, g in self.slot.guards.items() if t == statement.target}
        return mentioned

    def load(self) -> None:
        """Bring the variables into local names."""
        self.load_names(self.used())

    def load_names(self, wanted: set[str]) -> None:
        """Bring some of the variables, those that vary, into local names."""
        for name in self.slot.refs:
            if name in wanted and name in self.varying:
                self.emit(f"{_identifier(name)} = {self.look_up('S', self.slot.refs[name])}")

    def statement(self, statement: Statement) -> None:
        """One line of abstract code."""
        self.single, self.target = statement.scalar, statement.target
        if statement.target in self.slot.refs:
            self.assign(statement.target, self.value(statement))
        elif self._is_fixed(statement):
            self.fixed[statement.target] = self._kept(parse(statement.expression))
        else:
            self.varying.add(statement.target)
            self.emit(f"{_identifier(statement.target)} = {self.value(statement)}")

    def value(self, statement: Statement) -> str:
        """The new value of a statement's target."""
        node = parse(statement.expression)
        if statement.op in IN_PLACE:
            target = ast.Name(id=statement.target, ctx=ast.Load())
            node = ast.BinOp(target, IN_PLACE[statement.op], node)
        return self.text(node)

    def _is_fixed(self, statement: Statement) -> bool:
        again = sum(s.target == statement.target for s in self.slot.statements) > 1
        return not again and not self.varying & set(names(parse(statement.expression)))

    def assign(self, name: str, value: str) -> None:
        """Give a variable its new value, where its guard lets it."""
        local = _identifier(name)
        if self.program.variables[self.slot.refs[name].variable].kind == "integer":
            value = f"c.f.int({value})"
        guard = self.slot.guards.get(name)
        if guard:
            value = f"c.f.where({self._name(guard)}, {value}, {local})"
        self.emit(f"{local} = {value}")

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


class _Threshold(_Writer):
    """Raises events where a condition holds, and starts the refractory period."""

    @cached_property
    def crossing(self) -> Crossing | None:
        """Which variable crosses the threshold."""
        return crossing(self.program, self.slot)

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
        self.single, self.target = False, ""
        self.load_names({name for part in crossing[1:] if part for name in names(part)})
        place = self.text(crossing.place) if crossing.place else None
        self.emit(f"return {self.text(crossing.margin)}, {place}")
        for line in self.lines:
            yield f"    {line}"
        yield from ("", "")

    def body(self) -> None:
        self.load()
        *before, condition = self.slot.statements
        truths: dict[str, ast.expr] = {}
        for statement in before:
            expression = substitute(parse(statement.expression), truths)
            if statement.kind == "boolean":
                truths[statement.target] = expression
            else:
                self.statement(replace(statement, expression=ast.unparse(expression)))
        self.single, self.target = condition.scalar, condition.target
        text, _ = self._condition(substitute(parse(condition.expression), truths))
        owner, key = self.slot.owner, self.slot.event
        self.emit(f"S[{key!r}] = c.events({key!r}, {text}, {self.slot.size})")
        if self.slot.refractory:
            for name, value in (("not_refractory", "False"), ("lastspike", "c.t")):
                state = f"S['{owner}.{name}']"
                self.emit(f"{state} = c.mark({state}, S[{key!r}], {value})")

    def _condition(self, node: ast.expr) -> tuple[str, bool]:
        """A condition as text, and whether it is a spike (else a truth value)."""
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in ORDER:
                if {"rand"} == self._call_of(left) or {"rand"} == self._call_of(right):
                    return self._escape(left, op, right), True
                above = isinstance(op, ast.Gt | ast.GtE)
                high, low = (left, right) if above else (right, left)
                margin = self.text(ast.BinOp(high, ast.Sub(), low))
                strict = isinstance(op, ast.Gt | ast.Lt)
                return f"c.spike({self.slot.event!r}, {margin}, {strict})", True
            case ast.BoolOp(op=op, values=values):
                parts = [self._condition(value) for value in values]
                if not any(is_spike for _, is_spike in parts):
                    return "(" + (" & " if isinstance(op, ast.And) else " | ").join(
                        text for text, _ in parts
                    ) + ")", False
                name = "both" if isinstance(op, ast.And) else "either"
                return f"c.{name}({', '.join(text for text, _ in parts)})", True
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                text, is_spike = self._condition(operand)
                return f"c.neither({text})" if is_spike else f"c.f.logical_not({text})", is_spike
            case _:
                return self.text(node), False

    def _call_of(self, node: ast.expr) -> set[str]:
        match node:
            case ast.Call(func=ast.Name(id=name), args=[]):
                return {name}
            case _:
                return set()

    def _escape(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> str:
        """`rand() < p`: an escape rate, whose surrogate is the derivative of p."""
        first = "rand" in self._call_of(left)
        draw, p = (left, right) if first else (right, left)
        below = first == isinstance(op, ast.Lt | ast.LtE)
        strict = isinstance(op, ast.Lt | ast.Gt)
        texts = [self.text(n) for n in (draw, p)]
        sharp = strict if below else not strict
        call = f"c.escape({self.slot.event!r}, {', '.join(texts)}, {sharp}, S, K)"
        return call if below else f"c.neither({call})"


class _Imposed(_Writer):
    """A threshold that is not tested: the events are given by an input."""

    def body(self) -> None:
        owner, key = self.slot.owner, self.slot.event
        self.emit(f"S[{key!r}] = c.events({key!r}, False, {self.slot.size})")
        if self.slot.refractory:
            for name, value in (("not_refractory", "False"), ("lastspike", "c.t")):
                state = f"S['{owner}.{name}']"
                self.emit(f"{state} = c.mark({state}, S[{key!r}], {value})")


class _Reset(_Writer):
    """Statements for the elements with an event."""

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

    def _targets(self) -> Iterator[str]:
        """Local names of the variables that change."""
        assigned = dict.fromkeys(s.target for s in self.slot.statements)
        return (name for name in assigned if name in self.slot.refs)

    @property
    def keys(self) -> list[str]:
        """Keys of the variables that change."""
        return [self.slot.refs[name].variable for name in self._targets()]

    @property
    def draws(self) -> bool:
        """Whether the statements draw random numbers."""
        used = {n for s in self.slot.statements for n in names(parse(s.expression))}
        own = {n for n, key in self.slot.functions.items() if key in self.program.functions}
        return bool(used & (RANDOM | set(self.slot.samplers) | own))

    def store(self) -> None:
        self.emit(f"return [{', '.join(map(_identifier, self._targets()))}]")


class _Synapses(_Writer):
    """Statements for the synapses that events reach."""

    def body(self) -> None:
        if self.slot.pathway is None:
            self.emit(f"a = c.everyone({self.slot.size})")
        else:
            self.emit(f"a = c.arrive({self.slot.pathway!r}, S)")
        self.emit("if a.idle: return")
        self.fresh: set[str] = set()
        if self.slot.sequential:
            self.emit(f"for a in a.sequence([{', '.join(self._touched())}], {self._alone()}):")
        start = len(self.lines)
        for statement in self.slot.statements:
            self.statement(statement)
        if self.slot.sequential:
            self.lines[start:] = [f"    {line}" for line in self.lines[start:]]

    def _touched(self) -> Iterator[str]:
        """For each variable of neurons that changes, the indices by which it is seen."""
        refs = list(self.slot.refs.values())
        targets = [self.slot.refs.get(s.target) for s in self.slot.statements]
        for variable in dict.fromkeys(ref.variable for ref in targets if ref and ref.index):
            seen = dict.fromkeys(r.index for r in refs if r.variable == variable)
            yield f"[{', '.join(f'c.index({index!r})' for index in seen)}]"

    def _alone(self) -> bool:
        """Whether synapses have to be served one by one: random numbers, or a shared target."""
        targets = [self.slot.refs.get(s.target) for s in self.slot.statements]
        shared = any(ref and self.program.variables[ref.variable].scalar for ref in targets)
        drawn = {n for s in self.slot.vector for n in names(parse(s.expression))}
        return shared or bool(drawn & (RANDOM | set(self.slot.samplers)))

    def extent(self) -> str:
        guard = self.slot.guards.get(self.target)
        if guard is None:
            return f"{self.slot.size}, a.sites()"
        ref = self.slot.refs[guard]
        return f"{self.slot.size}, a.sites({self.look_at(ref)})"

    def look_at(self, ref: Ref) -> str:
        """A variable as the synapses see it."""
        text = self.held("S", ref.variable)
        if self.program.variables[ref.variable].scalar:
            return f"a.shared({text})"
        return f"a.at({text}, c.index({ref.index!r}))" if ref.index else f"a.own({text})"

    def text(self, node: ast.expr) -> str:
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

    def statement(self, statement: Statement) -> None:
        self.single, self.target = statement.scalar, statement.target
        ref = self.slot.refs.get(statement.target)
        if ref is None:
            super().statement(statement)
        elif ref.index is None:
            self._keep_own(statement, ref)
        else:
            self._touch(statement, ref)

    def _keep_own(self, statement: Statement, ref: Ref) -> None:
        value = self.value(statement)
        self.emit(f"S[{ref.variable!r}] = a.keep(S[{ref.variable!r}], {value})")
        self._stale(ref.variable)

    def _touch(self, statement: Statement, ref: Ref) -> None:
        """Change a variable of the neurons on either side."""
        state, index = f"S[{ref.variable!r}]", f"c.index({ref.index!r})"
        value = self.text(parse(statement.expression))
        if statement.op == "+=":
            new = f"a.accumulate({state}, {index}, {value})"
        elif statement.op == "-=":
            new = f"a.accumulate({state}, {index}, -({value}))"
        elif statement.op in IN_PLACE:
            new = f"c.scale(a, {state}, {index}, {value}, {statement.op == '/='})"
        else:
            new = f"a.overwrite({state}, {index}, {value})"
        guard = self.slot.guards.get(statement.target)
        if guard:
            condition = f"S[{self.slot.refs[guard].variable!r}]"
            new = f"c.f.where({condition}, {new}, {state})"
        self.emit(f"{state} = {new}")
        self._stale(ref.variable)

    def _stale(self, variable: str) -> None:
        self.fresh -= {n for n, r in self.slot.refs.items() if r.variable == variable}


class _Summed(_Writer):
    """A variable that is the sum of an expression over synapses."""

    def body(self) -> None:
        self.load()
        for statement in self.slot.statements:
            self.statement(statement)
        ref = self.slot.summed
        assert ref is not None
        state = f"S[{ref.variable!r}]"
        value = self._name("_synaptic_var")
        span = f"{self.slot.span[0]}, {self.slot.span[1]}"
        self.emit(f"{state} = c.sum({state}, c.index({ref.index!r}), {value}, {span})")


class _Value(_Writer):
    """What an expression is worth now."""

    def body(self) -> None:
        self.load()
        for statement in self.slot.statements:
            self.statement(statement)
        self.emit(f"return {self._name(self.slot.statements[-1].target)}")


class _Generator(_Writer):
    """Spikes given beforehand."""

    def body(self) -> None:
        self.emit(f"S[{self.slot.event!r}] = c.generate({self.slot.owner!r})")


def _may_draw(program: Program, slot: Slot) -> bool:
    """Whether the statements of a slot draw random numbers, or call what a user wrote."""
    used = {n for s in slot.statements for n in names(parse(s.expression))}
    own = {n for n, key in slot.functions.items() if key in program.functions}
    return bool(used & (RANDOM | set(slot.samplers) | own))


def _number(value: float | int | bool) -> str:
    """A number as text, infinity included."""
    return repr(value) if np.isfinite(value) else f"float('{value}')"


def _identifier(name: str) -> str:
    """A Python name for a Brian2 name: the same, unless it means something here."""
    taken = name in {"S", "K", "V", "c", "e", "a"} or keyword.iskeyword(name)
    return f"{name}_" if taken else name
