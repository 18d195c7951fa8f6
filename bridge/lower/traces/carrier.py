"""Carriers: each slot of a network with the derivatives of what it sets, as slots.

A slot that sets variables element by element carries the statements of its derivatives itself.
What a threshold, a reset and a sum over synapses do is worked out beside them, without doing it.
"""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import log
from typing import Any

import numpy as np

from mirrorneuron.errors import GradientError
from mirrorneuron.units import Dimensions

from ...program import (
    Array,
    Deliver,
    Program,
    Ref,
    Reset,
    Slot,
    Statement,
    Sum,
    Table,
    Threshold,
    Update,
)
from ..adjoint import spike_value
from ..aged import aged
from ..condition import Chance, Condition, Margin, Truth, condition_of
from ..crossing import Crossing, crossing
from ..derivative import ONE, ZERO, derivative, negative, plus, times
from ..expression import names, parse, rebuilt, substitute
from ..step import Accumulate, Overwrite, Scale, operations, updated
from .slopes import (
    Forward,
    Seed,
    Slopes,
    define,
    draws,
    followed,
    functions_of,
    is_state,
    named_draws,
    seeds,
    shadow,
    where,
)

Rows = dict[str, Slopes]
SPIKED, DEPTH = "spiked", "depth"


@dataclass(frozen=True)
class SpikeSlope:
    """What stands for the derivative of the spikes of a group.

    Arguments:
        formula: Shape of m and w, in the functions that equations have.
        width: w in SI units, one number for each neuron.
        scale: By what the shape is multiplied, likewise.
        follows: Whether the gradient passes through the reset.
        depth: How deep the reset counts, in depths of it, likewise.
        pause: What a refractory period and a leak make of the depth, by the velocity; None where it
            does not depend on that.
        rise: What an upstroke makes of it, if there is one; `pause` is there too then.
        lacks: Why there is none; empty where there is one.
    """

    formula: str
    width: Array
    scale: Array
    follows: bool
    depth: Array
    pause: "Pause | None" = None
    rise: "Rise | None" = None
    lacks: str = ""


@dataclass(frozen=True)
class Pause:
    """How deep a reset counts by the velocity at threshold: see `SpikeGradient.passage`.

    Arguments:
        depth: Of the reset, one number for each neuron.
        leak: Share of a shift that a step takes away.
        least: Velocity below which it is told from none, in depths times leaks.
        held: Steps for which a refractory period holds the potential.
    """

    depth: Array
    leak: Array
    least: Array
    held: Array


@dataclass(frozen=True)
class Rise:
    """What a shift is worth in an upstroke: see `Upstroke`, whose names these are.

    Arguments:
        below: Where the upstroke begins, below threshold, in the variable that crosses it.
        begins, least, decides, span: One number for each neuron.
        relative, depths, turns: Tables with a column for each neuron.
        peak: Of the surrogate.
        per_octave: Rows of a table in each doubling of the velocity.
    """

    below: Array
    begins: Array
    least: Array
    decides: Array
    span: Array
    relative: Array
    depths: Array
    turns: Array
    peak: float
    per_octave: int


@dataclass(frozen=True)
class Carrier:
    """A slot, and slots in which the derivatives of what it sets are local names.

    Arguments:
        slot: The slot itself.
        rows: Key of a variable, or of an event, to its derivatives, in local names of `code`.
        element: Key to the element that each element of the slot sets.
        code: Where the derivatives are: statements can be added at its end.
        before: Slots that run before that.
        inside: Whether `code` does what the slot does.
        spiked: Key of the variable that tells for which elements the derivatives hold; of others
            each trace stays. The slot sets it. Empty where they hold for all.
        variables: Variables that these slots need, by key: their values at the start.
        tables: Likewise, tables.
        refused: Why the derivatives are not known after all; empty where they are.
    """

    slot: Slot
    rows: Rows
    element: Mapping[str, Array]
    code: Slot
    before: tuple[Slot, ...] = ()
    inside: bool = False
    spiked: str = ""
    variables: Mapping[str, Array] = field(default_factory=dict[str, Array])
    tables: Mapping[str, Table] = field(default_factory=dict[str, Table])
    refused: str = ""


def carrier(
    program: Program,
    slot: Slot,
    parameters: Iterable[str],
    spikes: Mapping[str, SpikeSlope],
) -> Carrier | None:
    """A slot with its derivatives; None where it sets nothing that has any.

    Arguments:
        program: The network.
        slot: A slot that sets its elements one by one, or sums over synapses.
        parameters: Keys of what is trained.
        spikes: Event to what stands for its derivative.
    """
    match slot:
        case Update():
            return _update(program, slot, parameters)
        case Threshold() if slot.event in spikes:
            return _threshold(program, slot, parameters, spikes[slot.event])
        case Reset():
            return _reset(program, slot, parameters, spikes.get(slot.event))
        case Sum():
            return _sum(program, slot, parameters)
        case _:
            return None


def elements(program: Program, slot: Slot, ref: Ref) -> Array:
    """Which elements of a variable a slot sees or sets."""
    if ref.index is not None:
        return program.indices[ref.index]
    size = program.variables[ref.variable].value.size
    return np.zeros(slot.size, np.int64) if size == 1 else np.arange(slot.size)


def beside(slot: Slot, name: str, statements: Iterable[Statement], refs: Mapping[str, Ref],
           **changed: Any) -> Update:  # fmt: skip
    """An update of the same elements that runs where a slot does."""
    lines = tuple(statements)
    given: dict[str, Any] = {
        "when": slot.when, "order": slot.order, "size": slot.size, "dt": slot.dt,
        "every": slot.every, "constants": slot.constants, "units": slot.units, "keys": slot.keys,
        "clock": slot.clock, "clock_dt": slot.clock_dt, "tables": slot.tables,
        "samplers": slot.samplers,
    }  # fmt: skip
    functions = {**slot.functions, **functions_of(lines)}
    scalar = tuple(s for s in lines if s.scalar)
    vector = tuple(s for s in lines if not s.scalar)
    return Update(name=name, owner=slot.owner, scalar=scalar, vector=vector, refs=dict(refs),
                  functions=functions, **{**given, **changed})  # fmt: skip


# ---- what is set element by element


def _update(program: Program, slot: Update, parameters: Iterable[str]) -> Carrier:
    """A state update, which carries its derivatives itself."""
    made = followed(program, slot, parameters)
    code = replace(
        slot, scalar=made.scalar, vector=made.vector, guards={**slot.guards, **made.guards},
        functions={**slot.functions, **functions_of((*made.scalar, *made.vector))},
    )  # fmt: skip
    rows = {slot.refs[name].variable: slopes for name, slopes in made.slopes.items()}
    element = {ref.variable: elements(program, slot, ref) for ref in _targets(slot)}
    return Carrier(slot, rows, element, code, inside=True)


def _targets(slot: Slot) -> list[Ref]:
    return [slot.refs[s.target] for s in slot.statements if s.target in slot.refs]


def _sum(program: Program, slot: Sum, parameters: Iterable[str]) -> Carrier:
    """A sum over synapses; its derivatives are those of what each of these adds."""
    made = shadow(program, slot, parameters)
    last = slot.statements[-1].target
    rows = {slot.target.variable: made.slopes[last]}
    element = {slot.target.variable: elements(program, slot, slot.target)}
    code = beside(slot, f"{slot.name}_slopes", made.statements, slot.refs)
    return Carrier(slot, rows, element, code)


# ---- thresholds


def _threshold(
    program: Program, slot: Threshold, parameters: Iterable[str], spike: SpikeSlope
) -> Carrier | None:
    """A threshold: the derivative of its event is that of its margins, times the surrogate."""
    before, condition = condition_of(slot)
    forward = Forward(seeds(program, slot, parameters))
    made = _Beside(f"{slot.name}_slopes", refs=dict(slot.refs))
    for statement in before:
        slopes = forward.through(updated(statement))
        more, forward.of[statement.target] = forward.named(slopes, statement.scalar)
        made.lines += [*more, statement]
    whole, parts = spike_value(condition)
    inner = [_value(part) for part in parts]
    for k, part in enumerate(parts):
        if isinstance(part, Margin):
            made.defines(f"_margin_{k}", inner[k])
        if not isinstance(part, Chance):
            made.defines(f"_part_{k}", _truth(part, k))
    named: dict[str, ast.expr] = {
        f"_{k}": ast.Name(f"_part_{k}", ast.Load()) for k in range(len(parts))
    }
    found: Slopes = {}
    base, kept = _escape_gain(program, slot) if spike.follows else (slot, None)
    made.refs |= base.refs
    for k, part in enumerate(parts):
        slopes = {} if isinstance(part, Truth) else forward.through(inner[k])
        if not slopes:
            continue
        factor = substitute(derivative(whole, f"_{k}"), named)
        _require_known(slot, factor, parts)
        margin = isinstance(part, Margin)
        outer = _surrogate(spike, slot, made, k) if margin else _inside(inner[k])
        if kept is not None and not margin and kept[0] in slopes:
            outer = times(outer, _at_most_once(times(slopes[kept[0]], kept[1])))
        for seed, slope in slopes.items():
            found[seed] = plus(found.get(seed, ZERO), times(times(outer, factor), slope))
    if not found:
        return None
    earlier: list[Slot] = []
    cross = crossing(program, slot) if spike.pause is not None else None
    if cross is not None:
        earlier, more = _approach(program, slot, spike, cross)
        made.variables |= more
    code = beside(base, f"{slot.name}_slopes", made.lines, made.refs)
    element = {slot.event: np.arange(slot.size)}
    code = replace(code, tables={**code.tables, **{key: key for key in made.tables}})
    return Carrier(slot, {slot.event: found}, element, code, tuple(earlier),
                   variables=made.variables, tables=made.tables, refused=spike.lacks)  # fmt: skip


def _value(part: Condition) -> ast.expr:
    match part:
        case Margin(tree=tree):
            return tree
        case Chance(probability=probability):
            return probability
        case Truth(tree=tree):
            return tree
        case _:
            raise TypeError("a part of a condition joins no others")


def _truth(part: Condition, k: int) -> ast.expr:
    """A part of a condition as 0 or 1."""
    if isinstance(part, Margin):
        margin = ast.Name(f"_margin_{k}", ast.Load())
        op = ast.Gt() if part.strict else ast.GtE()
        return where(ast.Compare(margin, [op], [ast.Constant(0)]), ONE, ast.Constant(0))
    return where(_value(part), ONE, ast.Constant(0))


def _inside(probability: ast.expr) -> ast.expr:
    """1 where a probability is one, else 0: of it the expected value is the derivative."""
    low = ast.Compare(probability, [ast.Gt()], [ast.Constant(0)])
    high = ast.Compare(probability, [ast.Lt()], [ast.Constant(1)])
    both = ast.BoolOp(ast.And(), [low, high])
    return where(both, ONE, ast.Constant(0))


def _escape_gain(program: Program, slot: Threshold) -> tuple[Slot, tuple[Seed, ast.expr] | None]:
    """The variable that decides on an escape and is reset by it, and what the reset adds to it.

    With them comes the slot, with the names that the reset reads.
    """
    cross = crossing(program, slot)
    reset = next(iter(program.resets(slot.event)), None)
    if cross is None or cross.place is not None or reset is None:
        return slot, None
    now: dict[str, ast.expr] = {}
    for statement in reset.statements:
        now[statement.target] = substitute(updated(statement), now)
    name = next(
        (n for n in now if n in reset.refs and reset.refs[n].variable == cross.variable), ""
    )
    if not name:
        return slot, None
    jump = plus(now[name], negative(ast.Name(name, ast.Load())))
    base, (jump,) = _joined(slot, reset, jump, prefix="_reset_")
    return base, (Seed(cross.variable), jump)


def _at_most_once(taken: ast.expr) -> ast.expr:
    """Factor that keeps a gradient from taking more than there is through a reset."""
    size = ast.Call(ast.Name("abs", ast.Load()), [taken], [])
    more = ast.Compare(size, [ast.Gt()], [ONE])
    return where(more, ast.BinOp(ONE, ast.Div(), size), ONE)


def _require_known(slot: Threshold, factor: ast.expr, parts: tuple[Condition, ...]) -> None:
    """Refuse a condition in which what a random number decides gates another comparison."""
    drawn = {f"_part_{k}" for k, part in enumerate(parts) if isinstance(part, Chance)}
    if drawn & set(names(factor)):
        raise GradientError(
            f"an online rule: the condition of {slot.event!r} joins a comparison with a random"
            " number, and its derivative would need that number twice. Write rule=mn.BPTT()."
        )


def _surrogate(spike: SpikeSlope, slot: Threshold, made: "_Beside", k: int) -> ast.expr:
    """The surrogate of a margin, as an expression."""
    width, scale = made.reads("width", spike.width), made.reads("scale", spike.scale)
    margin = ast.Name(f"_margin_{k}", ast.Load())
    shape = substitute(parse(spike.formula), {"m": margin, "w": width})
    whole = times(scale, shape)
    if spike.pause is None:
        return made.defines("_surrogate", whole)
    share = _share(spike.pause, slot, made)
    whole = made.defines("_plain", ast.BinOp(whole, ast.Div(), share))
    if spike.rise is not None:
        whole, share = _risen(spike, spike.rise, made, k)
    made.reads(DEPTH, np.ones(slot.size))
    made.lines.append(define(f"_{DEPTH}", share, op="="))
    return made.defines("_surrogate", whole)


FAST = "sqrt((_speed/(_deep*_leak))**2 + _least**2)"


def _share(pause: Pause, slot: Threshold, made: "_Beside") -> ast.expr:
    """How deep the reset counts, in depths of it, which is kept for the reset."""
    made.reads("speed", np.zeros(slot.size))
    values = {"deep": pause.depth, "leak": pause.leak, "least": pause.least, "held": pause.held}
    for name, value in values.items():
        made.reads(name, value)
    made.defines("_fast", parse(FAST))
    made.defines("_kept", parse("_held*clip(_speed, 0, inf)"))
    return made.defines("_share", parse("_fast*log1p(1/_fast) + _kept/_deep"))


def _risen(spike: SpikeSlope, rise: Rise, made: "_Beside", k: int) -> tuple[ast.expr, ast.expr]:
    """The surrogate where equations run away, and how deep the reset counts there."""
    values = {
        "begins": rise.begins, "floor_": rise.least, "decides": rise.decides, "span": rise.span,
    }  # fmt: skip
    for name, value in values.items():
        made.reads(name, value)
    margin, last = f"_margin_{k}", len(rise.relative) - 1
    made.defines("_running", parse("sqrt(_speed**2 + _floor_**2)"))
    octave = f"{rise.per_octave / log(2)!r}*log(_running/_floor_)"
    made.defines("_octave", parse(octave))
    made.defines("_along", parse(f"({margin}/_span + 1)*{last}"))
    relative = made.between("relative", rise.relative, "_along")
    made.defines("_here", parse(f"_running + {relative}"))
    deep = made.between("depths", rise.depths, "_octave")
    made.defines("_rising", parse(f"{deep}*_here/_running + _kept*_here/_running"))
    turn = made.between("turns", rise.turns, "_octave")
    held = f"where({turn} < _decides, {turn}, _decides)"
    made.defines("_where", parse(f"where(_speed < 0, {held}, _decides)"))
    made.defines("_before", parse(f"clip({margin} + _where, -inf, 0)"))
    names_ = {"m": ast.Name("_before", ast.Load()), "w": ast.Name("_width", ast.Load())}
    made.defines("_taken", substitute(parse(spike.formula), names_))
    slope = parse(f"where(_begins > 0, _taken/{rise.peak!r}/_rising, _plain)")
    return slope, parse("where(_begins > 0, _rising/_deep, _share)")


@dataclass
class _Beside:
    """What is written beside a threshold.

    Arguments:
        owner: Of the variables that it needs.
        lines, refs, variables: Statements, what their names mean, values at the start.
    """

    owner: str
    lines: list[Statement] = field(default_factory=list[Statement])
    refs: dict[str, Ref] = field(default_factory=dict[str, Ref])
    variables: dict[str, Array] = field(default_factory=dict[str, Array])
    tables: dict[str, Table] = field(default_factory=dict[str, Table])

    def reads(self, name: str, start: Array) -> ast.expr:
        """A variable of its own."""
        self.refs[f"_{name}"] = Ref(f"{self.owner}.{name}")
        self.variables[f"{self.owner}.{name}"] = start
        return ast.Name(f"_{name}", ast.Load())

    def defines(self, name: str, tree: ast.expr) -> ast.expr:
        """A local name."""
        self.lines.append(define(name, tree))
        return ast.Name(name, ast.Load())

    def between(self, name: str, table: Array, place: str) -> str:
        """A table "place neuron" at a place, straight between its rows; the text of the value."""
        key, last = f"{self.owner}_{name}", len(table) - 1
        self.tables[key] = Table(key, table, 1.0, 1, Dimensions())
        if "_number" not in self.refs:
            self.reads("number", np.arange(table.shape[1]).astype(float))
        at, low = f"_{name}_at", f"_{name}_low"
        self.defines(at, parse(f"clip({place}, 0, {last})"))
        self.defines(low, parse(f"clip(floor({at}), 0, {last - 1})"))
        rows = [f"{key}({low} + {k}, _number)" for k in (0, 1)]
        self.defines(f"_{name}", parse(f"{rows[0]} + ({rows[1]} - {rows[0]})*({at} - {low})"))
        return f"_{name}"


def _approach(
    program: Program, slot: Threshold, spike: SpikeSlope, cross: Crossing
) -> tuple[list[Slot], dict[str, Array]]:
    """A slot that finds how fast neurons come to their threshold.

    The equations take a step from threshold, with expected values in the place of random numbers.
    """
    made = _Beside(f"{slot.name}_slopes")
    variable, place = cross.variable, cross.place
    if place is None:
        raise TypeError("an escape rate has no place at which it is crossed")
    below = made.reads("below", np.zeros(slot.size) if spike.rise is None else spike.rise.below)
    moves = list(program.motion(slot.owner))
    base, (start, margin) = _joined(_blank(slot), slot, place, cross.margin)
    start = plus(start, negative(below))
    lines: list[Statement] = [define("_start", start)]
    now: dict[str, ast.expr] = {variable: ast.Name("_start", ast.Load())}
    for number, move in enumerate(moves):
        base, trees = _joined(base, move, *(updated(s) for s in move.statements),
                              prefix=f"_step_{number}_")  # fmt: skip
        local: dict[str, ast.expr] = {}
        for name, ref in base.refs.items():
            if name.startswith(f"_step_{number}_") and ref.variable in now and ref.index is None:
                local[name] = now[ref.variable]
        for k, (statement, tree) in enumerate(zip(move.statements, trees, strict=True)):
            tree = substitute(_expected(move, tree), local)
            name = f"_then_{number}_{k}"
            given = f"_step_{number}_{statement.target}"
            guard = move.guards.get(statement.target)
            if guard is not None and statement.target in move.refs:
                condition = local.get(f"_step_{number}_{guard}",
                                      ast.Name(f"_step_{number}_{guard}", ast.Load()))  # fmt: skip
                tree = where(condition, tree, local.get(given, ast.Name(given, ast.Load())))
            lines.append(Statement(name, ":=", ast.unparse(tree), statement.kind, False))
            local[given] = ast.Name(name, ast.Load())
            if statement.target in move.refs and move.refs[statement.target].index is None:
                now[move.refs[statement.target].variable] = local[given]
    known = {n: now[r.variable] for n, r in base.refs.items()
             if n.startswith("_there_") and r.variable in now}  # fmt: skip
    at_first = {n: ast.Name("_start", ast.Load()) for n, r in base.refs.items()
                if n.startswith("_there_") and r.variable == variable}  # fmt: skip
    speed = plus(substitute(margin, known), negative(substitute(margin, at_first)))
    made.reads("speed", np.zeros(slot.size))
    lines.append(define("_speed", speed, op="="))
    step = beside(base, f"{slot.name}_approach", lines, {**base.refs, **made.refs})
    return [step], made.variables


def _blank(slot: Slot) -> Slot:
    """A slot of the same elements that knows no names."""
    return replace(slot, scalar=(), vector=(), refs={}, constants={}, units={}, keys={}, guards={})


MEANS = {"rand": 0.5, "randn": 0.0}


def _expected(slot: Slot, node: ast.expr) -> ast.expr:
    """An expression with the expected values of its random numbers."""
    small = rebuilt(node, lambda child: _expected(slot, child))
    match small:
        case ast.Call(func=ast.Name(id=name)) if name in MEANS:
            return ast.Constant(MEANS[name])
        case ast.Call(func=ast.Name(id="poisson"), args=[mean]):
            return mean
        case ast.Call(func=ast.Name(id=name)) if name in slot.samplers:
            sampler = slot.samplers[name]
            first, second = sampler.args
            return ast.Constant(first * second if sampler.kind == "binomial" else first)
        case _:
            return small


# ---- resets


def _reset(
    program: Program, slot: Reset, parameters: Iterable[str], spike: SpikeSlope | None
) -> Carrier | None:
    """A reset: what it makes of a neuron that spikes, and what a spike is worth."""
    follows = spike is not None and spike.follows
    threshold = next((t for t in program.slots_of(Threshold) if t.event == slot.event), None)
    cross = crossing(program, threshold) if follows and threshold is not None else None
    moved: dict[str, ast.expr] = {}
    base: Slot = slot
    if cross is not None and cross.place is not None and threshold is not None:
        base, (place,) = _joined(slot, threshold, cross.place)
        moved = {n: place for n, ref in slot.refs.items() if ref.variable == cross.variable}
    made = shadow(program, base, parameters, moved)
    key, depth = f"{slot.name}_slopes.{SPIKED}", ""
    refs = {**base.refs}
    rows: Rows = {}
    element: dict[str, Array] = {}
    for name, slopes in made.slopes.items():
        ref = slot.refs.get(name)
        if ref is None or not is_state(program, ref.variable):
            continue
        own: Slopes = {Seed(ref.variable, ref.index): ONE}
        row = {seed: slopes.get(seed, ZERO) for seed in {**own, **slopes}}
        if follows:
            start = moved.get(name)
            there = ast.Name(name if start is None else f"_moved_{name}", ast.Load())
            old = own if start is None else _slopes_of(program, base, parameters, start)
            jump = _combined(slopes, old, -1)
            row = _combined(own, jump, 1)
            worth = plus(made.values[name], negative(there))
            if start is not None and threshold is not None:
                depth = f"{threshold.name}_slopes.{DEPTH}"
                refs["_depth"] = Ref(depth)
                worth = times(ast.Name("_depth", ast.Load()), worth)
            row[Seed(slot.event)] = worth
        rows[ref.variable] = row
        element[ref.variable] = elements(program, slot, ref)
    if not rows:
        return None
    off = beside(slot, f"{slot.name}_none", [define(SPIKED, ast.Constant(0.0), op="=")],
                 {SPIKED: Ref(key)})  # fmt: skip
    marked = replace(slot, vector=(*slot.vector, define(SPIKED, ast.Constant(1.0), op="=")),
                     refs={**slot.refs, SPIKED: Ref(key)})  # fmt: skip
    extra = {key: np.zeros(slot.size)}
    if depth and spike is not None:
        extra[depth] = spike.depth
    code = beside(base, f"{slot.name}_slopes", made.statements, refs, samplers=slot.samplers)
    refused = _drawn_twice(slot) if any(draws(slot, s.tree) for s in slot.statements) else ""
    return Carrier(marked, rows, element, code, (off,), spiked=key, variables=extra,
                   refused=refused)  # fmt: skip


def _drawn_twice(slot: Slot) -> str:
    return (
        f"an online rule: {slot.name} draws random numbers, and its derivative would need the same"
        " ones again. Let run_regularly('x = rand()', dt=...) draw them into a variable, or write"
        " rule=mn.BPTT()."
    )


def _combined(a: Slopes, b: Slopes, sign: int) -> Slopes:
    """a + b, or a - b."""
    return {
        seed: plus(a.get(seed, ZERO), b.get(seed, ZERO) if sign > 0 else
                   negative(b.get(seed, ZERO)))
        for seed in {**a, **b}
    }  # fmt: skip


def _slopes_of(program: Program, slot: Slot, parameters: Iterable[str], tree: ast.expr) -> Slopes:
    """Derivatives of an expression in the names of a slot."""
    return Forward(seeds(program, slot, parameters)).through(tree)


def _joined(
    slot: Slot, other: Slot, *trees: ast.expr, prefix: str = "_there_"
) -> tuple[Slot, list[ast.expr]]:
    """A slot that knows the names in expressions of another slot, and these in its names."""
    used = [name for tree in trees for name in names(tree)]
    guards = [other.guards[s.target] for s in other.statements if s.target in other.guards]
    local = {s.target for s in other.statements}
    mine = [n for n in dict.fromkeys([*used, *guards, *local])
            if n in other.refs or n in other.constants or n in local]  # fmt: skip
    new = {name: f"{prefix}{name}" for name in mine}
    refs, constants = dict(slot.refs), dict(slot.constants)
    units, keys = dict(slot.units), dict(slot.keys)
    for old, name in new.items():
        if old in other.refs:
            refs[name] = other.refs[old]
        elif old in other.constants:
            constants[name], units[name] = other.constants[old], other.units[old]
            keys[name] = other.key(old)
    joined = replace(
        slot, refs=refs, constants=constants, units=units, keys=keys,
        clock={**slot.clock, **other.clock}, tables={**slot.tables, **other.tables},
        functions={**slot.functions, **other.functions},
    )  # fmt: skip
    known: dict[str, ast.expr] = {old: ast.Name(name, ast.Load()) for old, name in new.items()}
    return joined, [substitute(tree, known) for tree in trees]


# ---- synapses that deliver


@dataclass(frozen=True)
class Delivery:
    """A slot of synapses with the derivatives of what it sets and adds, in local names.

    Arguments:
        slot: The slot, with statements for its derivatives.
        kept: Derivatives of what variables of synapses become, by key.
        added: Derivatives of what is added to neurons, by key.
        goes: Element that each synapse reaches, by key.
        times: How many statements add to each, by key.
        worth: What a spike adds through each synapse, or to what it holds itself, by key, in the
            names of `alone`.
        left: What is left now of a change of a variable as it is stored, by key, likewise; without
            those of which all is.
        alone: Statements that work that out without a spike.
    """

    slot: Deliver
    kept: Rows
    added: Rows
    goes: Mapping[str, Array]
    times: Mapping[str, int]
    worth: Mapping[str, ast.expr]
    left: Mapping[str, ast.expr]
    alone: tuple[Statement, ...]


def delivery(program: Program, slot: Deliver, parameters: Iterable[str]) -> Delivery:
    """Synapses that deliver, with derivatives.

    Raises:
        GradientError: They multiply or set a variable of neurons.
    """
    slot = named_draws(slot) if any(draws(slot, s.tree) for s in slot.statements) else slot
    forward = Forward(seeds(program, slot, parameters))
    lines: list[Statement] = []
    added: Rows = {}
    goes: dict[str, Array] = {}
    count: dict[str, int] = {}
    worth: dict[str, ast.expr] = {}
    alone: list[Statement] = []
    now: dict[str, ast.expr] = {}
    ages, current, left = aged(program, slot), dict[str, ast.expr](), dict[str, ast.expr]()
    for number, (statement, operation) in enumerate(
        zip(slot.statements, operations(program, slot), strict=True)
    ):
        scalar, target = statement.scalar, statement.target
        slopes = forward.through(operation.tree) if statement.kind == "float" else {}
        made, short = forward.named(slopes, scalar)
        lines += [*made, statement]
        tree = substitute(operation.tree, now)
        if isinstance(operation, Accumulate):
            key, guard = operation.ref.variable, operation.guard
            gated = short if guard is None else _guarded_all(guard, short)
            added[key] = _added(added.get(key, {}), gated)
            goes[key] = elements(program, slot, operation.ref)
            count[key] = count.get(key, 0) + 1
            value = tree if guard is None else where(ast.Name(guard, ast.Load()), tree, ZERO)
            worth[key] = plus(worth.get(key, ZERO), value)
            continue
        if isinstance(operation, Scale | Overwrite) and is_state(program, operation.ref.variable):
            what = "multiplies" if isinstance(operation, Scale) else "sets"
            raise GradientError(
                f"an online rule: {slot.name} {what} {operation.ref.variable!r} by synapses, and"
                " traces are known for what synapses add. Write on_pre='... += ...', or"
                " rule=mn.BPTT()."
            )
        forward.of[target] = short
        alone.append(Statement(f"_alone_{number}", ":=", ast.unparse(tree), statement.kind, scalar))
        here = ast.Name(f"_alone_{number}", ast.Load())
        if target in ages and ages[target].number == number:
            current[target] = here
            if (remains := ages[target].left) is not None:
                left[slot.refs[target].variable] = substitute(remains, now)
        now[target] = here
    own = [name for name in dict.fromkeys(s.target for s in slot.statements)
           if name in slot.refs and slot.refs[name].index is None]  # fmt: skip
    kept = {slot.refs[name].variable: forward.of[name] for name in own}
    for name in own:
        key = slot.refs[name].variable
        coupled = name in ages and key not in left
        if is_state(program, key) and not coupled:
            before = current.get(name, ast.Name(name, ast.Load()))
            worth[key] = plus(now[name], negative(before))
    code = replace(
        slot,
        scalar=tuple(s for s in lines if s.scalar),
        vector=tuple(s for s in lines if not s.scalar),
        functions={**slot.functions, **functions_of(lines)},
    )
    return Delivery(code, kept, added, goes, count, worth, left, tuple(alone))


def by_turns(program: Program, slot: Update, parameters: Iterable[str]) -> dict[str, str]:
    """What an update changes of elements that several of its own change, and why that is refused.

    Arguments:
        program: The network.
        slot: The update.
        parameters: Keys of what is trained.
    """
    forward = Forward(seeds(program, slot, parameters))
    found: dict[str, str] = {}
    for statement, operation in zip(slot.statements, operations(program, slot), strict=True):
        slopes = forward.through(operation.tree)
        if not isinstance(operation, Accumulate | Scale | Overwrite):
            forward.of[statement.target] = slopes
        elif slopes or not isinstance(operation, Accumulate):
            key = operation.ref.variable
            found[key] = (
                f"an online rule: {slot.name} changes {key!r} by several elements one after the"
                " other, and no trace follows that. Let it change a variable of the synapses that"
                " a (summed) variable of the neurons reads, or write rule=mn.BPTT()."
            )
    return found


def require_no_draws(made: Delivery) -> None:
    """Refuse synapses that draw random numbers, where what no spike adds is needed.

    Raises:
        GradientError: They draw some.
    """
    if any(draws(made.slot, s.tree) for s in made.alone):
        raise GradientError(_drawn_twice(made.slot))


def _guarded_all(guard: str, slopes: Slopes) -> Slopes:
    condition = ast.Name(guard, ast.Load())
    return {seed: where(condition, tree, ast.Constant(0)) for seed, tree in slopes.items()}


def _added(a: Slopes, b: Slopes) -> Slopes:
    return {seed: plus(a.get(seed, ZERO), b.get(seed, ZERO)) for seed in {**a, **b}}
