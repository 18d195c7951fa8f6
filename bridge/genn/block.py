"""Block: the statements of one slot as lines of GeNN's code."""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from ..lower.expression import hoist, names
from ..program import Program, Slot, Statement, Table
from .host import evaluate
from .language import RANDOM, C, number

TYPES = {"float": "scalar", "integer": "int", "boolean": "int"}
WORDS = (
    "t dt id id_pre id_post id_syn num_neurons num_pre num_post Isyn st sT et inSyn spiking"
    " pending ongoing now heard delay_steps auto break case char const continue default do double"
    " else enum extern float for goto if int long register return short signed sizeof static struct"
    " switch typedef union unsigned void volatile while scalar timepoint bool true false inf nan"
    " round rint trunc fmin fmax min max fabs pow fmod asin acos atan step rng a n p i j k s"
    " M_PI M_E y0 y1 yn j0 j1 jn gamma"
)
RESERVED = frozenset(WORDS.split())


def identifier(name: str) -> str:
    """A name that GeNN accepts for what Brian2 calls `name`."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
    plain = plain.lstrip("_") or "x"
    changed = plain != name or plain in RESERVED or plain[0].isdigit()
    return f"b_{plain}" if changed else plain


@dataclass
class Parameters:
    """Numbers of a model, one name for each."""

    values: dict[str, float] = field(default_factory=dict[str, float])
    known: dict[str, str] = field(default_factory=dict[str, str])

    def keep(self, value: float, hint: str = "") -> str:
        """Name of the parameter that holds a number."""
        text = repr(float(value))
        if text not in self.known:
            wanted = f"p_{hint.lstrip('_')}" if hint else f"p_{len(self.values)}"
            name = wanted if wanted not in self.values else f"{wanted}_{len(self.values)}"
            self.known[text] = name
            self.values[name] = float(value)
        return self.known[text]


@dataclass
class Block:
    """Writes the lines of one slot.

    Arguments:
        program: The network.
        slot: What to write.
        changing: Local names, of variables, that are no constants, to their text when read.
        time: Text of the time at which the slot runs.
        parameters: Where numbers are kept.
        table: Text for the array of a TimedArray, given its key.
        store: Lines that give a variable its new value: statement and text of the expression.
    """

    program: Program
    slot: Slot
    changing: Mapping[str, str]
    time: str
    parameters: Parameters
    table: Callable[[str], str]
    store: Callable[[Statement, str], Iterator[str]]
    constants: dict[str, Any] = field(default_factory=dict[str, Any])
    locals: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        slot, variables = self.slot, self.program.variables
        self.constants |= dict(slot.constants)
        for name, ref in slot.refs.items():
            if name not in self.changing and variables[ref.variable].scalar:
                self.constants[name] = variables[ref.variable].value.item()
        self.constants |= {n: slot.clock_dt for n, kind in slot.clock.items() if kind == "dt"}
        refs = ((n, variables[r.variable].kind) for n, r in slot.refs.items())
        self.booleans = {n for n, kind in refs if kind == "boolean"}
        self.integers = {n for n, r in slot.refs.items() if variables[r.variable].kind == "integer"}
        tables = {n: self.program.tables[key] for n, key in slot.tables.items()}
        self.tables: dict[str, Table] = tables
        arrays = {n: (tables[n], self.table(key)) for n, key in slot.tables.items()}
        draws = {name: _drawn(s.kind, s.args) for name, s in slot.samplers.items()}
        self.write = C(self._name, arrays, draws, self.booleans)

    def lines(self) -> Iterator[str]:
        """All of them, in braces of their own where there are new names."""
        yield from map(str, self._lines())

    def _lines(self) -> Iterator[str]:
        for statement in self.slot.statements:
            tree = statement.tree
            if statement.target in self.slot.refs:
                yield from self.store(statement, self.text(tree))
            elif not (self.varying() & set(names(tree))):
                self.constants[statement.target] = evaluate(tree, self.constants, self.tables)
            else:
                yield self._local(statement, self.text(tree))

    def text(self, tree: ast.expr) -> str:
        """Text of an expression, what no step changes as parameters."""
        return self.write(hoist(tree, self.varying(), self._keep))

    def varying(self) -> set[str]:
        """Names whose value may differ between steps or elements."""
        clock = {n for n, kind in self.slot.clock.items() if kind != "dt"}
        drawn = set(RANDOM) | set(self.slot.samplers) | set(self.tables)
        return set(self.changing) | set(self.locals) | clock | drawn

    def _keep(self, node: ast.expr) -> ast.expr:
        value = float(evaluate(node, self.constants, self.tables))
        if not isfinite(value):  # GeNN takes no such parameter
            return ast.Constant(value)
        hint = node.id if isinstance(node, ast.Name) else ""
        return ast.Name(id=self.parameters.keep(value, hint), ctx=ast.Load())

    def _name(self, name: str) -> str:
        if name in self.locals:
            return self.locals[name]
        kind = self.slot.clock.get(name)
        if kind == "t":
            return self.time
        if kind == "step":
            return f"rint({self.time} / {number(self.slot.clock_dt)})"
        if name in self.changing:
            text = self.changing[name]
            return f"(scalar){text}" if name in self.integers else text
        return name

    def _local(self, statement: Statement, text: str) -> str:
        known, target = statement.target in self.locals, statement.target
        if statement.kind == "boolean":
            self.booleans.add(target)
            text = f"{text} ? 1 : 0"
        self.locals[target] = f"l_{identifier(target).removeprefix('b_')}"
        kind = "int" if statement.kind == "boolean" else "scalar"
        op = "=" if statement.op == ":=" else statement.op
        return f"{'' if known else kind + ' '}{self.locals[target]} {op} {text};"


def _drawn(kind: str, args: tuple[float, float]) -> str:
    if kind == "normal":
        return f"({number(args[0])} + {number(args[1])} * gennrand_normal())"
    return f"(scalar)gennrand_binomial({int(args[0])}, {number(args[1])})"
