"""Slopes: derivatives of what statements compute, carried along with the statements themselves.

A slot's statements are executed from the first to the last, and the derivative of each by the
values with which the slot started follows by the chain rule (forward differentiation). The result
is statements again: a local name for each derivative that is not zero.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ...program import TIMES, Program, Slot, Statement
from ..derivative import ONE, ZERO, derivative, plus, times
from ..expression import names, rebuilt, substitute
from ..functions import FUNCTIONS, RANDOM
from ..step import updated


@dataclass(frozen=True)
class Seed:
    """By what the outcome of a slot is differentiated.

    Arguments:
        key: Key of a variable or of a constant.
        index: Name of the index array through which the slot sees it; None for element by element.
    """

    key: str
    index: str | None = None


Slopes = dict[Seed, ast.expr]
SLOPE = "_slope_"
Timed = TypeVar("Timed", bound=Slot)


@dataclass
class Forward:
    """Derivatives of the names in a slot, as its statements are executed.

    Arguments:
        of: Local name to its derivative by each seed; none where it is zero.
        made: Number of local names that were made.
    """

    of: dict[str, Slopes] = field(default_factory=dict[str, Slopes])
    made: int = 0

    def through(self, tree: ast.expr) -> Slopes:
        """Derivatives of an expression.

        Raises:
            GradientError: It calls a function whose derivative is not known.
        """
        found: Slopes = {}
        for name in dict.fromkeys(names(tree)):
            inner = self.of.get(name)
            outer = derivative(tree, name) if inner else ZERO
            if inner and outer is not ZERO:
                for seed, slope in inner.items():
                    found[seed] = plus(found.get(seed, ZERO), times(outer, slope))
        return found

    def named(self, slopes: Slopes, scalar: bool) -> tuple[list[Statement], Slopes]:
        """Statements that give derivatives a name each, and the names.

        So has a derivative that is a variable, as later statements may change that.
        """
        made: list[Statement] = []
        short: Slopes = {}
        for seed, tree in slopes.items():
            if isinstance(tree, ast.Constant) or self._is_mine(tree):
                short[seed] = tree
                continue
            self.made += 1
            made.append(define(f"{SLOPE}{self.made}", tree, scalar))
            short[seed] = ast.Name(made[-1].target, ast.Load())
        return made, short

    @staticmethod
    def _is_mine(tree: ast.expr) -> bool:
        return isinstance(tree, ast.Name) and tree.id.startswith(SLOPE)


def define(target: str, tree: ast.expr, scalar: bool = False, op: str = ":=") -> Statement:
    """A statement on real numbers."""
    return Statement(target, op, ast.unparse(tree), "float", scalar)


def seeds(program: Program, slot: Slot, parameters: Iterable[str]) -> dict[str, Slopes]:
    """The derivative of each name that a slot reads, by itself: one.

    Names of states (real numbers that change during a run) and of parameters have one.

    Arguments:
        program: The network.
        slot: The statements.
        parameters: Keys of what is trained.
    """
    wanted = set(parameters)
    found: dict[str, Slopes] = {
        name: {Seed(ref.variable, ref.index): ONE}
        for name, ref in slot.refs.items()
        if ref.variable in wanted or is_state(program, ref.variable)
    }
    for name in slot.constants:
        if slot.key(name) in wanted:
            found[name] = {Seed(slot.key(name)): ONE}
    return found


def is_state(program: Program, key: str) -> bool:
    """Whether a variable holds real numbers that change during a run."""
    variable = program.variables[key]
    changes = variable.name not in TIMES and key in program.written()
    return variable.kind == "float" and not variable.scalar and changes


# ---- statements with their derivatives beside them


@dataclass(frozen=True)
class Followed:
    """Statements, each after those of its derivatives.

    Arguments:
        scalar, vector: As in a slot.
        slopes: Derivatives of the values that variables end with, by local name of the target.
        guards: Of the random numbers that got a name.
    """

    scalar: tuple[Statement, ...]
    vector: tuple[Statement, ...]
    slopes: Mapping[str, Slopes]
    guards: Mapping[str, str]


def followed(program: Program, slot: Slot, parameters: Iterable[str]) -> Followed:
    """The statements of a slot that sets each of its elements, with derivatives.

    Random numbers of which a derivative depends get a name, so that they are drawn once.
    """
    forward = Forward(seeds(program, slot, parameters))
    guards: dict[str, str] = {}
    both: list[list[Statement]] = []
    for statements in (slot.scalar, slot.vector):
        made: list[Statement] = []
        for statement in statements:
            made += _with_slopes(slot, statement, forward, guards)
        both.append(made)
    targets = {s.target for s in slot.statements if s.target in slot.refs}
    slopes = {name: forward.of.get(name, {}) for name in targets}
    return Followed(tuple(both[0]), tuple(both[1]), slopes, guards)


def _with_slopes(
    slot: Slot, statement: Statement, forward: Forward, guards: dict[str, str]
) -> Iterator[Statement]:
    """A statement, after those that give its derivatives."""
    target, guard = statement.target, slot.guards.get(statement.target)
    slopes = forward.through(updated(statement))
    if any(draws(slot, tree) for tree in slopes.values()):
        drawn, statement = _with_named_draws(slot, statement, forward, guards)
        yield from drawn
        slopes = forward.through(updated(statement))
    if statement.kind != "float":
        slopes = {}
    if guard is not None and target in slot.refs:
        slopes = _guarded(guard, slopes, forward.of.get(target, {}))
    made, forward.of[target] = forward.named(slopes, statement.scalar)
    yield from made
    yield statement


def _guarded(guard: str, new: Slopes, old: Slopes) -> Slopes:
    """Derivatives of what changes only where a condition holds."""
    return {seed: where(ast.Name(guard, ast.Load()), new.get(seed, ZERO), old.get(seed, ZERO))
            for seed in {**new, **old}}  # fmt: skip


def where(condition: ast.expr, yes: ast.expr, no: ast.expr) -> ast.expr:
    """One value where a condition holds, another elsewhere."""
    return ast.Call(ast.Name("where", ast.Load()), [condition, yes, no], [])


def _random(slot: Slot) -> set[str]:
    return set(RANDOM) | set(slot.samplers)


def draws(slot: Slot, tree: ast.expr) -> bool:
    """Whether an expression takes random numbers."""
    return bool(set(names(tree)) & _random(slot))


def _with_named_draws(
    slot: Slot, statement: Statement, forward: Forward, guards: dict[str, str]
) -> tuple[list[Statement], Statement]:
    """A statement whose random numbers are local names, which the first ones define."""
    made: list[Statement] = []
    random, guard = _random(slot), slot.guards.get(statement.target)

    def lifted(node: ast.expr) -> ast.expr:
        small = rebuilt(node, lifted)
        match small:
            case ast.Call(func=ast.Name(id=name)) if name in random:
                forward.made += 1
                made.append(define(f"_draw_{forward.made}", small, statement.scalar))
                if guard is not None:
                    guards[made[-1].target] = guard
                return ast.Name(made[-1].target, ast.Load())
            case _:
                return small

    tree = lifted(statement.tree)
    kept = Statement(statement.target, statement.op, ast.unparse(tree), statement.kind,
                     statement.scalar)  # fmt: skip
    return made, kept


def named_draws(slot: Timed) -> Timed:
    """A slot whose random numbers have a name each, so that derivatives can read them."""
    forward, guards = Forward(), dict(slot.guards)
    lines: list[Statement] = []
    for statement in slot.statements:
        made, kept = _with_named_draws(slot, statement, forward, guards)
        lines += [*made, kept]
    scalar = tuple(s for s in lines if s.scalar)
    vector = tuple(s for s in lines if not s.scalar)
    return replace(slot, scalar=scalar, vector=vector, guards=guards)


# ---- what statements would do, without doing it


@dataclass(frozen=True)
class Shadow:
    """What the statements of a slot would make of its variables, in local names alone.

    Arguments:
        statements: Definitions.
        values: Local name of each target to the expression of its value at the end.
        slopes: Derivatives of these.
    """

    statements: tuple[Statement, ...]
    values: Mapping[str, ast.expr]
    slopes: Mapping[str, Slopes]


def shadow(
    program: Program,
    slot: Slot,
    parameters: Iterable[str],
    moved: Mapping[str, ast.expr] | None = None,
) -> Shadow:
    """What a slot would do, and the derivatives of that.

    Arguments:
        program, slot: What would be executed.
        parameters: Keys of what is trained.
        moved: Variables, by local name, that start from another value than their own.
    """
    forward = Forward(seeds(program, slot, parameters))
    now: dict[str, ast.expr] = {}
    made: list[Statement] = []
    for name, tree in (moved or {}).items():
        elsewhere = f"_moved_{name}"
        more, forward.of[elsewhere] = forward.named(forward.through(tree), False)
        made += [*more, define(elsewhere, tree)]
        now[name] = ast.Name(elsewhere, ast.Load())
    for number, statement in enumerate(slot.statements):
        name = f"_after_{number}_{statement.target}"
        tree = substitute(updated(statement), now)
        slopes = forward.through(tree) if statement.kind == "float" else {}
        more, forward.of[name] = forward.named(slopes, False)
        made += [*more, Statement(name, ":=", ast.unparse(tree), statement.kind, False)]
        now[statement.target] = ast.Name(name, ast.Load())
    last = slot.statements[-1].target  # of a sum, what is added up
    targets = {s.target for s in slot.statements if s.target in slot.refs} | {last}
    values = {target: now[target] for target in targets}
    slopes = {target: forward.through(values[target]) for target in targets}
    return Shadow(tuple(made), values, slopes)


def functions_of(statements: Iterable[Statement]) -> dict[str, str]:
    """Known functions that statements call, as a slot lists them."""
    called = {name for s in statements for name in names(s.tree)}
    return {name: name for name in sorted(called & set(FUNCTIONS))}
