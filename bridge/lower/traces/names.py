"""Names: variables and index arrays of a network with traces, and the text of its new slots."""

import ast
from typing import Any

import numpy as np

from mirrorneuron.units import Dimensions

from ...program import Array, Program, Ref, Slot, Statement, Sum, Update, Variable
from .seat import Seat, elements_of
from .slopes import define, functions_of

NUMBER = Dimensions()


class Names:
    """Variables and index arrays, those of a network and those of its traces.

    Arguments:
        program: The network.
        seats: Where traces are kept, by name.
    """

    def __init__(self, program: Program, seats: dict[str, Seat]) -> None:
        self.program, self.seats = program, seats
        self.variables = dict(program.variables)
        self.indices = dict(program.indices)

    def declare(self, key: str, value: Array) -> str:
        """A new variable with its values at the start, unless there is one of that name."""
        owner, _, name = key.partition(".")
        if key not in self.variables:
            self.variables[key] = Variable(owner, name, NUMBER, value, "float", False)
        return key

    def size(self, key: str) -> int:
        """Number of elements of a variable; of a trace that is yet to come, that of its seat."""
        if key in self.variables:
            return self.variables[key].value.size
        return self.seats[key.partition(".")[0]].size

    def elements(self, key: str) -> int:
        """Number of elements of a variable of the network, or of the group of an event."""
        return elements_of(self.program, key)

    def index(self, place: Array, size: int) -> str | None:
        """Name of an index array; None where it is each element in turn."""
        if len(place) == size and np.array_equal(place, np.arange(size)):
            return None
        return self.index_of(place)

    def index_of(self, place: Array) -> str:
        """Name of an index array, also of one that is each element in turn."""
        for name, known in self.indices.items():
            if np.array_equal(known, place):
                return name
        name = f"traces.index_{len(self.indices)}"
        self.indices[name] = place
        return name


class Code:
    """Statements of a new slot.

    Arguments:
        known: Variables and index arrays.
        name: Of the slot.
        like: The slot beside which it runs.
        size: Number of its elements.
    """

    def __init__(self, known: Names, name: str, like: Slot, size: int) -> None:
        self.known, self.name, self.like, self.size = known, name, like, size
        self.refs: dict[str, Ref] = {}
        self.lines: list[Statement] = []

    def name_of(self, key: str, place: Array | None) -> str:
        """Local name of a variable seen through an index array; None for element by element."""
        size = self.known.size(key)
        index = None if place is None else self.known.index(place, size)
        wanted = Ref(key, index)
        for name, ref in self.refs.items():
            if ref == wanted:
                return name
        base = key.replace(".", "_")
        name, count = base, 1
        while name in self.refs:
            count += 1
            name = f"{base}_{count}"
        self.refs[name] = wanted
        return name

    def read(self, key: str, place: Array | None = None) -> ast.expr:
        """A variable."""
        return ast.Name(self.name_of(key, place), ast.Load())

    def define(self, name: str, tree: ast.expr) -> ast.expr:
        """A local name."""
        self.lines.append(define(name, tree))
        return ast.Name(name, ast.Load())

    def set(self, key: str, tree: ast.expr, place: Array | None = None, op: str = "=") -> None:
        """Give a variable a value."""
        self.lines.append(define(self.name_of(key, place), tree, op=op))

    def update(self) -> Update:
        """The slot."""
        return Update(name=self.name, owner=self.like.owner, size=self.size, **self._common())

    def sum(self, target: Ref, size: int) -> Sum:
        """The slot, its last line summed over an index array."""
        common = self._common()
        return Sum(name=self.name, owner=self.like.owner, size=self.size, target=target,
                   span=(0, size), **common)  # fmt: skip

    def _common(self) -> dict[str, Any]:
        like = self.like
        return {
            "when": like.when, "order": like.order, "dt": like.dt, "every": like.every,
            "clock_dt": like.clock_dt, "vector": tuple(self.lines), "refs": self.refs,
            "functions": functions_of(self.lines),
        }  # fmt: skip
