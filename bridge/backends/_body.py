"""Body: the statements of a slot as flat operations, ready to be written as C.

What cannot change during a run is computed before it, by torch: the prelude of the eager backend,
whose values are `K[0]`, `K[1]`, ... Random numbers are names, each with what it is drawn from.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from ..lower.aged import is_last_update, left_by_statement, only_ages
from ..lower.condition import (
    All,
    Chance,
    Condition,
    Either,
    Margin,
    Not,
    Truth,
    condition_of,
)
from ..lower.expression import names, rebuilt, substitute
from ..lower.flat import Flat, flat
from ..lower.functions import RANDOM
from ..lower.kinds import kinds_of, margin_with_kinds, with_kinds
from ..lower.simplify import BOUNDED
from ..lower.step import Define, Keep, Operation, Write, operations, updated
from ..program import Deliver, Program, Ref, Slot, Threshold
from .eager.emit import Prelude, Writer

KEPT = "K["
LEFT = "_left_"


@dataclass(frozen=True)
class Draw:
    """Random numbers, one for each element.

    Arguments:
        name: Name of the number in the operations.
        kind: Method of a numpy stream: "rand", "randn", "poisson", "binomial", "normal".
        args: What it is given: names or numbers.
        guard: Name of the truth value without which nothing is drawn.
    """

    name: str
    kind: str
    args: tuple[ast.expr, ...]
    guard: str | None


@dataclass(frozen=True)
class Body:
    """Statements of a slot.

    Arguments:
        slot: Whose.
        refs: Name of what is read at the start, to the variable.
        flats: Operations, each with a name of its own.
        draws: Random numbers, in the order in which they are drawn.
        final: Local name of each variable that is written, to the name of its new value.
        outcomes: Names of values that are used after the statements.
        clock: Names that mean the time ("t"), the time step ("dt") or the step count ("step").
        tables: Names of TimedArrays, to their keys.
    """

    slot: Slot
    refs: Mapping[str, Ref]
    flats: tuple[Flat, ...]
    draws: tuple[Draw, ...]
    final: Mapping[str, str]
    outcomes: tuple[str, ...]
    clock: Mapping[str, str]
    tables: Mapping[str, str]

    @property
    def ends(self) -> set[str]:
        """Names of all values for which the statements are executed."""
        written = {f.name for f in self.flats if isinstance(f.operation, Write)}
        return written | set(self.outcomes)

    def needed(self, wanted: Iterable[str]) -> list[Flat]:
        """The operations that some names depend on, in order."""
        open_ = set(wanted)
        chosen: list[Flat] = []
        for made in reversed(self.flats):
            if made.name in open_:
                chosen.append(made)
                open_ |= uses(made)
        return chosen[::-1]

    @property
    def kept(self) -> dict[str, str]:
        """Synaptic variables that are set, and the names of their new values."""
        made = {f.name for f in self.flats if isinstance(f.operation, Keep)}
        return {name: final for name, final in self.final.items() if final in made}

    def aged(self, name: str) -> tuple[str, str] | None:
        """Names of what a variable has become since a spike last came, and of what is left of it.

        None where its stored value is that of now.
        """
        left = f"{LEFT}{name}"
        if all(made.name != left for made in self.flats):
            return None
        return next(made.name for made in self.flats if made.before == name), left

    def timeless(self, program: Program) -> set[str]:
        """Names of what a spike sets without a derivative of its own: when it came."""
        if not isinstance(self.slot, Deliver) or not only_ages(program, self.slot):
            return set()
        return {name for name, ref in self.refs.items() if is_last_update(ref)}

    @property
    def executed(self) -> list[Flat]:
        """The operations without what only the way back needs."""
        open_: set[str] = set()
        chosen: list[Flat] = []
        for made in reversed(self.flats):
            part = made.name[0] == "_" and made.name[1:].isdigit() and made.name not in open_
            if not made.name.startswith(LEFT) and not part:
                chosen.append(made)
                open_ |= uses(made)
        return chosen[::-1]

    def read(self, wanted: Iterable[str] | None = None) -> list[str]:
        """Names of the variables whose values at the start some names depend on."""
        wanted = self.ends if wanted is None else set(wanted)
        open_ = set(wanted).union(*(uses(f) for f in self.needed(wanted)))
        return [name for name in self.refs if name in open_]

    def renamed(self, change: Callable[[str], str]) -> "Body":
        """The same with other names."""

        def tree(node: ast.expr) -> ast.expr:
            if isinstance(node, ast.Name):
                return node if node.id.startswith(KEPT) else ast.Name(change(node.id), ast.Load())
            return rebuilt(node, tree)

        def operation(given: Operation) -> Operation:
            made = replace(given, name=change(given.name), tree=tree(given.tree))
            if isinstance(made, Write) and made.guard:
                made = replace(made, guard=change(made.guard))
            return made

        return Body(
            self.slot,
            {change(n): ref for n, ref in self.refs.items()},
            tuple(Flat(operation(f.operation), f.before and change(f.before)) for f in self.flats),
            tuple(
                Draw(change(d.name), d.kind, tuple(map(tree, d.args)), d.guard and change(d.guard))
                for d in self.draws
            ),
            {n: change(made) for n, made in self.final.items()},
            tuple(map(change, self.outcomes)),
            {change(n): meaning for n, meaning in self.clock.items()},
            self.tables,
        )

    def after(self, other: "Body") -> "Body":
        """The operations of another body, then these; no name stands for two values."""
        return replace(
            self,
            refs={**other.refs, **self.refs},
            flats=(*other.flats, *self.flats),
            draws=(*other.draws, *self.draws),
            clock={**other.clock, **self.clock},
            tables={**other.tables, **self.tables},
        )


def uses(made: Flat) -> set[str]:
    """Names that an operation needs: also what a variable was, where it may stay so."""
    found = set(names(made.operation.tree))
    match made.operation:
        case Write(guard=str() as guard):
            return found | {guard, made.before or ""}
        case Keep():
            return found | {made.before or ""}
        case _:
            return found


class Builder:
    """Makes bodies of the slots of a program, and collects what is computed before the run.

    Arguments:
        program: The network.
        driven: Keys of what inputs set.
        trained: Keys of the constants that are trained.
    """

    def __init__(self, program: Program, driven: Set[str], trained: frozenset[str]) -> None:
        self.program, self.trained = program, trained
        self.changing = program.written() | driven
        self.prelude = Prelude()

    def of(self, slot: Slot) -> Body:
        """The statements of a slot; the value of the last one is the outcome, if it is local."""
        last = slot.statements[-1] if slot.statements else None
        given = list(self._with_ages(slot))
        if last is not None and last.target not in slot.refs:
            outcome = ast.Name(last.target, ast.Load())
            return self._body(slot, [*given, Define("_outcome", outcome, False)], ("_outcome",))
        return self._body(slot, given)

    def _with_ages(self, slot: Slot) -> Iterator[Operation]:
        """What statements do, and what is left of variables that they bring up to date."""
        left = left_by_statement(self.program, slot)
        for number, operation in enumerate(operations(self.program, slot)):
            if number in left:
                yield Define(f"{LEFT}{operation.name}", left[number], False)
            yield operation

    def condition(self, slot: Threshold) -> tuple[Body, Condition]:
        """The parts of a condition, and the condition in which they are names."""
        before, whole = condition_of(slot)
        kinds = kinds_of(self.program, slot)
        given: list[Operation] = [Define(s.target, updated(s), s.scalar) for s in before]
        parts: list[str] = []

        def part(tree: ast.expr, margin: bool) -> ast.expr:
            parts.append(f"_part{len(parts)}")
            made = margin_with_kinds(tree, kinds) if margin else tree
            given.append(Define(parts[-1], made, False))
            return ast.Name(parts[-1], ast.Load())

        named = _with_trees(whole, part)
        return self._body(slot, given, tuple(parts)), named

    def values(self, slot: Slot, trees: Mapping[str, ast.expr]) -> Body:
        """Expressions in the names of a slot, without its statements."""
        given = [Define(name, tree, False) for name, tree in trees.items()]
        return self._body(slot, given, tuple(trees))

    def _body(self, slot: Slot, given: Iterable[Operation], outcomes: tuple[str, ...] = ()) -> Body:
        writer = Writer(self.program, slot, 0, self.prelude, self.changing, self.trained)
        made: list[Operation] = []
        drawn: list[Draw] = []
        for operation in given:
            changes = operation.name in writer.varying or operation.name in outcomes
            changes |= operation.name.startswith(LEFT)
            if not isinstance(operation, Write) and not changes:
                known = with_kinds(operation.tree, writer.kinds)
                writer.fixed[operation.name] = writer.kept(known)
                continue
            tree = substitute(
                writer.hoisted(with_kinds(operation.tree, writer.kinds)),
                {name: ast.Name(text, ast.Load()) for name, text in writer.fixed.items()},
            )
            lifted = _Lifted(slot, operation, drawn, made)
            made.append(replace(operation, tree=lifted(tree)))
        flats = tuple(flat(made))
        final = {f.name.partition("@")[0]: f.name for f in flats if isinstance(f.operation, Write)}
        return Body(slot, slot.refs, flats, tuple(drawn), final, outcomes, slot.clock, slot.tables)


class _Lifted:
    """Replaces random numbers by names, whose arguments and guards become operations."""

    def __init__(
        self, slot: Slot, operation: Operation, drawn: list[Draw], made: list[Operation]
    ) -> None:
        self.slot, self.operation, self.drawn, self.made = slot, operation, drawn, made

    def __call__(self, node: ast.expr) -> ast.expr:
        match rebuilt(node, self):
            case ast.Call(func=ast.Name(id=name), args=args) if name in RANDOM:
                return self._draw(name, args)
            case ast.Call(func=ast.Name(id=name)) if name in self.slot.samplers:
                sampler = self.slot.samplers[name]
                return self._draw(sampler.kind, [ast.Constant(float(x)) for x in sampler.args])
            case other:
                return other

    def _draw(self, kind: str, args: Sequence[ast.expr]) -> ast.expr:
        number = len(self.drawn)
        guard = self.slot.guards.get(self.operation.name)
        given = [self._kept(f"_arg{number}_{k}", arg) for k, arg in enumerate(args)]
        if guard:
            self._define(f"_guard{number}", ast.Name(guard, ast.Load()))
            guard = f"_guard{number}"
        self.drawn.append(Draw(f"_draw{number}", kind, tuple(given), guard))
        return ast.Name(f"_draw{number}", ast.Load())

    def _kept(self, name: str, arg: ast.expr) -> ast.expr:
        if isinstance(arg, ast.Constant):
            return arg
        self._define(name, arg)
        return ast.Name(name, ast.Load())

    def _define(self, name: str, tree: ast.expr) -> None:
        self.made.append(Define(name, tree, self.operation.once))


def _with_trees(node: Condition, change: Callable[[ast.expr, bool], ast.expr]) -> Condition:
    """A condition with each of its trees changed."""
    match node:
        case Truth(tree):
            return Truth(change(tree, False))
        case Margin(tree, strict):
            return Margin(change(tree, True), strict)
        case Chance(draw, probability, strict, below):
            return Chance(change(draw, False), change(probability, False), strict, below)
        case All(parts):
            return All(tuple(_with_trees(part, change) for part in parts))
        case Either(parts):
            return Either(tuple(_with_trees(part, change) for part in parts))
        case Not(part):
            return Not(_with_trees(part, change))


def plain_name(function: str) -> tuple[str, bool]:
    """Name of a function, and whether its argument is known to keep its slope finite."""
    plain = function.removesuffix(BOUNDED)
    return plain, plain != function
