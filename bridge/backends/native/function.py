"""Function: one C function that is being written, and the arrays that it is given."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from ...lower.step import Write
from ...program import Program, Ref, Slot
from .._body import KEPT, Body, Draw, Flat
from .._plan import Key, Plan
from .c_text import C_TYPES, Kind, Writer, kind_of, number, stored

SIGNATURE = "void **P, Shard *S, long shard, long t, long tick, long B, long kept, int tape"
ARGUMENTS = "P, S, shard, t, tick, B, kept, tape"


class Arrays:
    """Arrays that the code is given, each with its place in the list of pointers."""

    def __init__(self) -> None:
        self.types: dict[Key, str] = {}

    def place(self, key: Key, ctype: str) -> int:
        """Place of an array, which is new or known already."""
        if self.types.setdefault(key, ctype) != ctype:
            raise TypeError(f"{key} is {self.types[key]}, not {ctype}")
        return list(self.types).index(key)


class Function:
    """A C function for the trials of a shard, in one step.

    Arguments:
        plan: What the network does.
        arrays: What the code is given.
        title: Its name.
        slot: Whose statements it executes.
    """

    def __init__(self, plan: Plan, arrays: Arrays, title: str, slot: Slot | None) -> None:
        self.plan, self.arrays, self.title, self.slot = plan, arrays, title, slot
        self.program: Program = plan.program
        self.pointers: dict[str, str] = {}
        self.numbers: dict[str, str] = {}
        self.lines: list[str] = []
        self.depth = 1

    # ---- text

    def add(self, *lines: str) -> None:
        """Add lines."""
        self.lines += ["  " * self.depth + line for line in lines]

    @contextmanager
    def block(self, head: str) -> Generator[None]:
        """Lines in braces."""
        self.add(f"{head} {{")
        self.depth += 1
        yield
        self.depth -= 1
        self.add("}")

    def trials(self, backward: bool = False) -> AbstractContextManager[None]:
        """A loop over the trials of the shard."""
        if backward:
            return self.block("for (long b = S->last - 1; b >= S->first; b--)")
        return self.block("for (long b = S->first; b < S->last; b++)")

    def text(self) -> str:
        """The function."""
        head = [f"static void {self.title}({SIGNATURE}) {{"]
        head += [f"  {text}" for text in (*self.pointers.values(), *self.numbers.values())]
        if self.slot is not None:
            dt = self.slot.clock_dt or self.program.dt
            pace = round(dt / self.program.dt)
            head.append(f"  const long STEPS = (tick + {pace - 1}) / {pace};")
            head.append(f"  const double T = STEPS * {dt!r}; const real STEP = (real)STEPS;")
            head.append("  (void)T; (void)STEP;")
        return "\n".join([*head, *self.lines, "}"])

    # ---- arrays

    def array(self, key: Key, ctype: str) -> str:
        """Name of an array."""
        name = f"A{self.arrays.place(key, ctype)}"
        self.pointers.setdefault(
            name, f"{ctype} *restrict {name} = ({ctype} *)P[{name[1:]}];  /* {' '.join(key)} */"
        )
        return name

    def state(self, key: str) -> str:
        """Array of a variable's values, "batch element"."""
        return self.array(("state", key), stored(self.program.variables[key]))

    def adjoint(self, key: str) -> str:
        """Array of the derivative of the loss by a variable, "batch element"."""
        return self.array(("adjoint", key), "real")

    def size(self, key: str) -> int:
        """Number of elements of a variable."""
        return self.program.variables[key].value.size

    def place(self, ref: Ref, element: str = "i") -> str:
        """Where the value of an element is in a variable's array."""
        size = self.size(ref.variable)
        if size == 1:
            return "b"
        if ref.index is None:
            return f"b * {size} + {element}"
        index = self.array(("index", ref.index), "int")
        one = len(self.program.indices[ref.index]) == 1
        return f"b * {size} + {index}[{'0' if one else element}]"

    def kept(self, name: str, element: str = "i") -> str:
        """A value of the prelude."""
        k = int(name[2:-1])
        known = self.plan.kept[k]
        ctype = "unsigned char" if known.kind == "truth" else "real"
        array = self.array(("kept", str(k)), ctype)
        if known.scalar:
            self.numbers.setdefault(name, f"const {ctype} K{k} = {array}[0];")
            return f"K{k}"
        return f"{array}[{element}]"


class Elements:
    """Statements for one element, as C.

    Arguments:
        function: Where they are written.
        body: The statements.
        element: The element.
        given: Text of names that the statements do not define.
    """

    def __init__(
        self,
        function: Function,
        body: Body,
        element: str = "i",
        given: Mapping[str, str] | None = None,
    ) -> None:
        self.function, self.body, self.element = function, body, element
        self.given = given or {}
        self.program = function.program
        kinds: dict[str, Kind] = {
            n: kind_of(self.program.variables[ref.variable]) for n, ref in body.refs.items()
        }
        for k, known in enumerate(function.plan.kept):
            kinds[f"K[{k}]"] = known.kind
        for name, meaning in body.clock.items():
            kinds[name] = "wide" if meaning == "t" else "real"
        tables = frozenset(body.tables)
        self.write = Writer(self.name, kinds, self._table, tables)
        for made in body.flats:
            kinds[made.name] = self._kind(made)
        self.draws = {d.name: d for d in body.draws}

    def _kind(self, made: Flat) -> Kind:
        if isinstance(made.operation, Write):
            return kind_of(self.program.variables[made.operation.ref.variable])
        return self.write.kind(made.operation.tree)

    def name(self, name: str) -> str:
        """Text of a name."""
        if name.startswith(KEPT):
            return self.function.kept(name, self.element)
        if name in self.given:
            return self.given[name]
        meaning = self.body.clock.get(name)
        if meaning is not None and name not in self.body.refs:
            return {"t": "T", "step": "STEP", "dt": number(self.body.slot.clock_dt)}[meaning]
        return local(name)

    def _table(self, name: str, args: Sequence[str]) -> str:
        """The value of a TimedArray: the row that an input gives, or the one that holds then."""
        table = self.program.tables[self.body.tables[name]]
        if table.name in self.function.plan.driven:
            rows = self.function.array(("row", table.name), "real")
            width = self.function.array(("width", table.name), "long")
            column = f"(long){args[1]}" if len(args) > 1 else "0"
            return f"{rows}[b * {width}[0] + {column}]"
        values = self.function.array(("table", self.body.tables[name]), "double")
        grain, last = table.dt / table.upsampling, len(table.values) - 1
        row = f"row_of({args[0]}, {grain!r}, {table.upsampling}, {last})"
        if table.values.ndim == 1:
            return f"(real){values}[{row}]"
        return f"(real){values}[{row} * {table.values.shape[1]} + (long){args[1]}]"

    # ---- lines

    def loads(self, wanted: Iterable[str] | None = None) -> Iterator[str]:
        """Lines that read variables."""
        for name in self.body.read(wanted):
            yield self.load(name)

    def load(self, name: str) -> str:
        """Line that reads a variable."""
        ref = self.body.refs[name]
        place = self.function.place(ref, self.element)
        kind = C_TYPES[kind_of(self.program.variables[ref.variable])]
        return f"const {kind} {local(name)} = {self.function.state(ref.variable)}[{place}];"

    def steps(self, wanted: Iterable[str] | None = None) -> Iterator[str]:
        """Lines that compute the values on which some names depend."""
        for made in self.body.needed(self.body.ends if wanted is None else wanted):
            yield self.step(made)

    def step(self, made: Flat, gate: str = "") -> str:
        """Line that computes a value.

        Arguments:
            made: The operation.
            gate: Condition without which a written variable keeps its value.
        """
        operation, kind = made.operation, self._kind(made)
        value = self.write(operation.tree)
        if isinstance(operation, Write):
            value = self.fitted(made)
            guards = [self.name(operation.guard)] if operation.guard else []
            guards += [gate] if gate else []
            if guards:
                value = f"({' && '.join(guards)} ? {value} : {self.name(made.before or '')})"
        return f"const {C_TYPES[kind]} {local(made.name)} = {value};"

    def fitted(self, made: Flat) -> str:
        """The value of an operation in the type of the variable that takes it."""
        operation = made.operation
        assert isinstance(operation, Write)
        value = self.write(operation.tree)
        match self.program.variables[operation.ref.variable].kind:
            case "integer":
                return f"wrap({value})"
            case "boolean":
                return f"({value} != 0)"
            case _:
                return value

    def drawn(self) -> Iterator[str]:
        """Lines that bring the random numbers of an element."""
        for draw in self.body.draws:
            yield f"const real {local(draw.name)} = {self.numbers(draw)}[{self.drawn_at()}];"

    def drawn_at(self) -> str:
        """Where the random number of an element is."""
        return f"(kept * B + b) * {self.body.slot.size} + {self.element}"

    def numbers(self, draw: Draw) -> str:
        """Array of random numbers."""
        return self.function.array(("drawn", self.body.slot.name, draw.name), "real")

    def stores(self) -> Iterator[str]:
        """Lines that put variables back."""
        for name, final in self.body.final.items():
            ref = self.body.refs[name]
            place = self.function.place(ref, self.element)
            yield f"{self.function.state(ref.variable)}[{place}] = {local(final)};"


def local(name: str) -> str:
    """C name of a value."""
    return "x_" + name.replace("@", "$")


def draw_call(draw: Draw, text: Writer) -> str:
    """A random number of the trial's stream."""
    args = ["random", *map(text, draw.args)]
    return f"draw_{draw.kind}({', '.join(args)})"
