"""Statements: those of a slot as lines of Python that call torch."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import cached_property

from ...lower.condition import Condition, ConditionText
from ...lower.expression import INFIX, Renderer, names
from ...lower.flat import Flat
from ...lower.step import Write
from ...program import TIMES, Program, Ref
from .._body import KEPT, Body, Draw, uses

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult)


class Numbers:
    """Numbers that stand in statements, as tensors without axes, which torch is faster with."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.kept: list[int] = []

    def constant(self, value: float) -> str:
        """Text of a number."""
        if value not in self.values:
            self.values.append(value)
        return f"N[{self.values.index(value)}]"

    def one(self, k: int) -> str:
        """Text of a value of the prelude that may be a number."""
        self.kept += [] if k in self.kept else [k]
        return f"Q[{k}]"


class Statements:
    """Lines for a body.

    Arguments:
        program: The network.
        body: The statements.
        numbers: Numbers in statements.
        given: Text of names that the statements do not define.
    """

    def __init__(
        self,
        program: Program,
        body: Body,
        numbers: Numbers | None = None,
        given: Mapping[str, str] | None = None,
    ) -> None:
        self.program, self.body, self.given = program, body, given or {}
        self.numbers = numbers or Numbers()
        self.used: set[str] = set()
        self.render = Renderer(self.name, self._call)

    def write(self, node: ast.expr) -> str:
        """Text of an expression."""
        match node:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in INFIX:
                if self._is_tensor(left) or self._is_tensor(right):
                    return f"({self.operand(left)} {INFIX[type(op)]} {self.operand(right)})"
                return self.render(node)
            case _:
                return self.render(node)

    def operand(self, node: ast.expr) -> str:
        """Text of an operand beside a tensor."""
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self.numbers.constant(float(value))
            case ast.Name(id=name) if name.startswith(KEPT):
                return self.numbers.one(int(name[2:-1]))
            case _:
                return self.render(node)

    def _is_tensor(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self._tensors

    @cached_property
    def _tensors(self) -> set[str]:
        """Names of real numbers, one for each trial and element."""
        found = {
            n for n, ref in self.body.refs.items()
            if (v := self.program.variables[ref.variable]).kind == "float" and v.name not in TIMES
        }  # fmt: skip
        for made in self.body.flats:
            match made.operation.tree:
                case ast.BinOp() | ast.UnaryOp(op=ast.USub()) as tree if found & set(names(tree)):
                    found.add(made.name)
                case ast.Name(id=name) if name in found:
                    found.add(made.name)
                case _:
                    pass
        return found

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
            elif self._fits(final, ref):
                yield f"{old} = {local(final)}"
            else:
                yield f"{old} = c.fit({local(final)}, {old})"

    def _fits(self, name: str, ref: Ref) -> bool:
        """Whether a value has the shape and type of a variable by what it is made of."""
        variable = self.program.variables[ref.variable]
        made = [f for f in self.body.flats if f.name == name]
        if not made or name not in self._tensors or variable.single or variable.kind != "float":
            return False
        used = self.body.read({name})
        refs = [self.body.refs[n] for n in used]
        plain = all(
            n in self._tensors and not self.program.variables[r.variable].single
            for n, r in zip(used, refs, strict=True)
        )
        size = variable.value.size
        own = (r for r in refs if r.index is None)
        return plain and any(self.program.variables[r.variable].value.size == size for r in own)

    def condition(self, node: Condition) -> str:
        """A condition as truth values."""
        return ConditionText(self.write, self._truth, "f.logical_not({})")(node)

    def _truth(self, tree: ast.expr) -> str:
        return f"c.truth({self.write(tree)})"

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
