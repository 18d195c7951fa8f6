"""Statements: those of a slot as lines of Python that call torch."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Set

from ...lower.condition import All, Chance, Condition, Either, Margin, Not, Truth
from ...lower.expression import Renderer
from ...lower.flat import Flat
from ...lower.step import Write
from ...program import Program, Ref
from ..native.body import KEPT, Body, Draw, uses

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult)


class Statements:
    """Lines for a body.

    Arguments:
        program: The network.
        body: The statements.
        given: Text of names that the statements do not define.
    """

    def __init__(self, program: Program, body: Body, given: Mapping[str, str] | None = None) -> None:
        self.program, self.body, self.given = program, body, given or {}
        self.used: set[str] = set()
        self.write = Renderer(self.name, self._call)

    def name(self, name: str) -> str:
        """Text of a name."""
        if name.startswith(KEPT):
            return name
        if name in self.given:
            return self.given[name]
        meaning = self.body.clock.get(name)
        if meaning is not None and name not in self.body.refs:
            return {"t": "c.t", "step": "c.step", "dt": repr(self.body.slot.clock_dt)}[meaning]
        self.used.add(name)
        return local(name)

    def _call(self, name: str, args: list[str]) -> str:
        if name in self.body.tables:
            return f"c.table({', '.join([repr(self.body.tables[name]), *args])})"
        return f"f.{name}({', '.join(args)})"

    # ---- forward

    def loads(self, wanted: Iterable[str]) -> Iterator[str]:
        """Lines that read variables."""
        for name in self.body.read(wanted):
            yield f"{local(name)} = {self.value_of(self.body.refs[name], 'S')}"

    def value_of(self, ref: Ref, source: str) -> str:
        """A variable as the elements of the slot see it."""
        text = f"{source}[{ref.variable!r}]"
        if self.program.variables[ref.variable].single:
            text = f"c.widen({text})"
        return f"c.seen({text}, {ref.index!r})" if ref.index else text

    def steps(self, wanted: Set[str]) -> Iterator[str]:
        """Lines that compute values, and draw random numbers in their order."""
        waiting = list(self.body.draws)
        for made in self.body.needed(wanted | self._draws()):
            while waiting and {d.name for d in waiting} & uses(made):
                yield self.draw(waiting.pop(0))
            yield self.step(made)
        yield from map(self.draw, waiting)

    def _draws(self) -> set[str]:
        args = {a.id for d in self.body.draws for a in d.args if isinstance(a, ast.Name)}
        return args | {d.guard for d in self.body.draws if d.guard}

    def draw(self, draw: Draw) -> str:
        """Line that draws a random number for each element."""
        mask = f"c.within({self.name(draw.guard)})" if draw.guard else "None"
        args = [repr(draw.kind), str(self.body.slot.size), mask, *map(self.write, draw.args)]
        return f"{local(draw.name)} = c.draw({', '.join(args)})"

    def step(self, made: Flat) -> str:
        """Line that computes a value."""
        return f"{local(made.name)} = {self.value(made)}"

    def value(self, made: Flat) -> str:
        """What an operation gives."""
        operation, text = made.operation, self.fitted(made)
        if isinstance(operation, Write) and operation.guard:
            before = self.name(made.before or "")
            return f"f.where({self.name(operation.guard)}, {text}, {before})"
        return text

    def fitted(self, made: Flat) -> str:
        """The value in the type of the variable that takes it."""
        operation, text = made.operation, self.write(made.operation.tree)
        if not isinstance(operation, Write):
            return text
        match self.program.variables[operation.ref.variable].kind:
            case "integer":
                return f"f.int(f.wrap({text}))"
            case "boolean":
                return f"c.truth({text})"
            case _:
                return text

    def stores(self) -> Iterator[str]:
        """Lines that put variables back."""
        for name, final in self.body.final.items():
            ref = self.body.refs[name]
            old = f"S[{ref.variable!r}]"
            if ref.index:
                yield f"{old} = c.put({old}, {ref.index!r}, {local(final)})"
            else:
                yield f"{old} = c.fit({local(final)}, {old})"

    def condition(self, node: Condition) -> str:
        """A condition as truth values."""
        match node:
            case Truth(tree):
                return f"c.truth({self.write(tree)})"
            case Margin(tree, strict):
                return f"({self.write(tree)} {'>' if strict else '>='} 0)"
            case Chance(draw, probability, strict, below):
                sign = "<" if strict else "<="
                text = f"({self.write(draw)} {sign} {self.write(probability)})"
                return text if below else f"f.logical_not({text})"
            case All(parts):
                return "(" + " & ".join(map(self.condition, parts)) + ")"
            case Either(parts):
                return "(" + " | ".join(map(self.condition, parts)) + ")"
            case Not(part):
                return f"f.logical_not({self.condition(part)})"

    def finite(self, name: str) -> bool:
        """Whether a value is a number wherever what it is made of is one: sums and products."""
        return all(_is_plain(made.operation.tree) for made in self.body.needed({name}))


def _is_plain(tree: ast.expr) -> bool:
    match tree:
        case ast.Name() | ast.Constant():
            return True
        case ast.BinOp(op=op):
            return isinstance(op, ARITHMETIC)
        case ast.UnaryOp(op=op):
            return isinstance(op, ast.USub | ast.UAdd)
        case _:
            return False


def local(name: str) -> str:
    """Python name of a value."""
    return "x_" + name.replace("@", "__")


def by_name(name: str) -> str:
    """Python name of the derivative by a value."""
    return "d_" + name.replace("@", "__").replace("[", "").replace("]", "")
