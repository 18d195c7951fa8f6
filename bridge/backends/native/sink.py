"""Sink: what passes backward through the statements of a slot, and where it is added up."""

import ast
from collections.abc import Generator, Iterable, Mapping, Sequence, Set
from contextlib import contextmanager

from ...lower.expression import LEAVES, rebuilt, substitute
from ...lower.flat import Flat, pulls
from ...lower.functions import FUNCTIONS, TRANSCENDENTAL
from ...lower.step import Accumulate, Write
from .body import KEPT, Body, plain_name
from .c_text import Writer
from .function import Elements, Function, local


class Sink:
    """Where derivatives go: by what is read from variables, and by values of the prelude.

    Arguments:
        function: Where lines are written.
        body: The statements.
        carrying: Names that have a gradient.
    """

    def __init__(self, function: Function, body: Body, carrying: set[str]) -> None:
        self.f, self.body, self.carrying = function, body, carrying
        self.plan, self.program = function.plan, function.program
        self.known: list[str] = []
        self.place = 0

    # ---- sums over elements and trials

    @contextmanager
    def sums(self) -> Generator[None]:
        """Lines between which sums over the elements are made."""
        self.f.add("{")
        self.f.depth += 1
        at = len(self.f.lines)
        self.totals: dict[str, str] = {}
        yield
        declared = [f"double {name} = 0;" for name in self.totals]
        indent = "  " * self.f.depth
        self.f.lines[at:at] = [indent + line for line in declared]
        self.f.add(*(f"{where} += {name};" for name, where in self.totals.items()))
        self.f.depth -= 1
        self.f.add("}")
        for k, line in enumerate(self.f.lines):
            if "REDUCTION" in line:
                names_ = ", ".join(self.totals)
                clause = f" reduction(+: {names_})" if self.totals else ""
                self.f.lines[k] = line.replace(" REDUCTION", clause)

    def pragma(self) -> Iterable[str]:
        """What lets a loop over elements be made of vectors."""
        direct = all(ref.index is None for ref in self.body.refs.values())
        shared = any(self.program.variables[r.variable].scalar for r in self.body.refs.values())
        if direct and not shared and not self.body.tables:
            yield "#pragma omp simd REDUCTION"

    def total(self, name: str, where: str) -> str:
        """Name of a sum, and where it goes."""
        self.totals[name] = where
        return name

    # ---- derivatives

    def adjoint(self, name: str) -> str:
        """Derivative by a variable, as the element has it."""
        ref = self.body.refs[name]
        return f"{self.f.adjoint(ref.variable)}[{self.f.place(ref)}]"

    def back(
        self,
        e: Elements,
        seeds: Mapping[str, str],
        body: Body | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """Lines that pass derivatives on, from values to what they were made of.

        Arguments:
            e: The statements, which have been written before.
            seeds: Name of each value to the derivative by it.
            body: Of which statements, by default all.
            extra: Derivatives by what is read that come on top.
        """
        self.known = []
        self.e = e
        for name, text in {**seeds}.items():
            self._add(name, text)
        flats = (body or self.body).flats
        extra = dict(extra or {})
        made_names = {m.name for m in flats}
        for made in reversed(flats):
            if made.name in extra:
                self._add(made.name, extra.pop(made.name))
            if made.name in self.known:
                self._pass(made, by_name(made.name))
        for name, text in extra.items():
            if name not in made_names:
                self._add(name, text)

    def _pass(self, made: Flat, by: str) -> None:
        operation = made.operation
        if isinstance(operation, Write) and operation.guard:
            guard = self.e.name(operation.guard)
            if made.before in self.carrying:
                self._add(made.before or "", f"({guard} ? (real)0 : {by})")
            by = f"({guard} ? {by} : (real)0)"
        if isinstance(operation, Write):
            variable = self.program.variables[operation.ref.variable]
            if variable.kind != "float":
                return
        self._pull(made, by)

    def _pull(self, made: Flat, by: str) -> None:
        tree = made.operation.tree
        steep = False
        match tree:
            case ast.Call(func=ast.Name(id=function), args=args):
                if function in self.body.tables:
                    self._pull_table(function, args, by)
                    return
                plain, bounded = plain_name(function)
                if function != plain:
                    tree = ast.Call(ast.Name(plain, ast.Load()), args, [])
                steep = plain in TRANSCENDENTAL and not bounded and not FUNCTIONS[plain].bounded
            case ast.BinOp(op=ast.Pow()):
                steep = True
            case _:
                pass
        text = local(made.name)
        for pull in pulls(tree, self.carrying):
            factor = substitute(pull.factor, {})
            written = self._factor(factor, tree, text)
            term = f"{by} * {written}"
            if written == "1":
                term = by
            self._add(pull.source, f"({by} == 0 ? (real)0 : {term})" if steep else term)

    def _factor(self, factor: ast.expr, tree: ast.expr, text: str) -> str:
        """Text of a factor, in which the value itself is not computed again."""
        whole = ast.unparse(tree)

        def write(node: ast.expr) -> ast.expr:
            if not isinstance(node, LEAVES) and ast.unparse(node) == whole:
                return ast.Name("$value", ast.Load())
            return node if isinstance(node, LEAVES) else rebuilt(node, write)

        known = self.e.write
        writer = Writer(
            lambda n: text if n == "$value" else self.e.name(n), known.kinds, known.table,
            known.tables,
        )  # fmt: skip
        made = write(factor)
        if isinstance(made, ast.Constant) and made.value == 1:
            return "1"
        return writer(made)

    def _pull_table(self, name: str, args: Sequence[ast.expr], by: str) -> None:
        """What passes to the row of a TimedArray that an input gives."""
        table = self.program.tables[self.body.tables[name]].name
        if table in self.plan.active:
            row = self.f.array(("by_row", table), "real")
            width = self.f.array(("width", table), "long")
            column = f"(long){self.e.write(args[1])}" if len(args) > 1 else "0"
            self.f.add(f"{row}[b * {width}[0] + {column}] += {by};")

    def _add(self, name: str, text: str) -> None:
        if name in self.known:
            self.f.add(f"{by_name(name)} += {text};")
        else:
            self.known.append(name)
            self.f.add(f"real {by_name(name)} = {text};")

    def back_through_synapse(
        self, e: Elements, kept: Mapping[str, str], timeless: Set[str], here: str
    ) -> None:
        """The same for a synapse.

        Arguments:
            e: The statements, which have been written as if a spike had come.
            kept: Synaptic variables that have a gradient, and the names of their new values.
            timeless: Those for which a spike has no derivative.
            here: Text of whether a spike came; empty where it did.
        """
        self.known, self.e = [], e
        for name, final in kept.items():
            by = f"by_{local(name)}"
            self.f.add(f"const real {by} = {self.adjoint(name)};")
            if here and name not in timeless:
                self.f.add(f"total += {by} * {self._worth(name, final, here)};")
            if final in self.carrying and self._is_float_variable(name):
                self._add(final, f"({here} ? {by} : (real)0)" if here else by)
        for made in reversed(self.body.flats):
            operation = made.operation
            match operation:
                case Accumulate(ref=ref, guard=guard):
                    if ref.variable not in self.plan.active:
                        continue
                    by = f"{self.f.adjoint(ref.variable)}[{self.f.place(ref)}]"
                    by = f"({e.name(guard)} ? {by} : (real)0)" if guard else by
                    self.place += 1
                    self.f.add(f"const real by{self.place} = {by};")
                    if here:
                        self.f.add(f"total += by{self.place} * {local(made.name)};")
                    self._pull(made, f"({here} ? by{self.place} : (real)0)" if here else by)
                case _:
                    if made.name in self.known:
                        self._pull(made, by_name(made.name))
        for name in kept if here else ():
            if name in self.carrying:
                self._add(name, f"({here} ? (real)0 : by_{local(name)})")

    def _worth(self, name: str, final: str, here: str) -> str:
        """What a spike changes of a synaptic variable, as it is stored."""
        aged = self.body.aged(name)
        if aged is None:
            return f"({local(final)} - {self.e.name(name)})"
        now, left = aged
        change, part = f"({local(final)} - {local(now)})", local(left)
        return f"({here} ? {change} : {part} != 0 ? {change} / {part} : (real)0)"

    def _is_float_variable(self, name: str) -> bool:
        return self.program.variables[self.body.refs[name].variable].kind == "float"

    def store(self, keep: Set[str] = frozenset()) -> None:
        """Lines that put the derivatives by what was read where they are added up.

        Arguments:
            keep: Written variables whose derivative stays, and grows.
        """
        f = self.f
        direct: list[str] = []
        for name, ref in self.body.refs.items():
            if ref.variable not in self.plan.active:
                continue
            known = name in self.known
            if name in self.body.final and name not in keep:
                final = self.body.final[name]
                if final in self.carrying or known:
                    f.add(f"{self.adjoint(name)} = {by_name(name) if known else '0'};")
            elif known:
                direct.append(name)
        for name in direct:
            f.add(f"{self.adjoint(name)} += {by_name(name)};")
        for name in self.known:
            if not name.startswith(KEPT):
                continue
            k = name[2:-1]
            if not self.plan.kept[int(k)].wanted:
                continue
            if self.plan.kept[int(k)].scalar:
                by = f.array(("by_kept", k), "double")
                f.add(f"{self.total(f'sum_{k}', f'{by}[shard]')} += {by_name(name)};")
            else:
                by, size = f.array(("by_kept", k), "real"), self.body.slot.size
                f.add(f"{by}[shard * {size} + i] += {by_name(name)};")


def by_name(name: str) -> str:
    """C name of the derivative by a value."""
    return "d_" + name.replace("@", "$").replace("[", "").replace("]", "")
