"""Sink: what passes backward through the statements of a slot, and where it is added up."""

import ast
from collections.abc import Generator, Iterable, Mapping, Sequence, Set
from contextlib import contextmanager

from ...lower.flat import Flat
from ...lower.step import Accumulate
from .._body import KEPT, Body
from .._reverse import Reverse
from .function import Elements, Function, local


class Sink(Reverse):
    """Where derivatives go: by what is read from variables, and by values of the prelude.

    Arguments:
        function: Where lines are written.
        body: The statements.
        carrying: Names that have a gradient.
    """

    def __init__(self, function: Function, body: Body, carrying: set[str]) -> None:
        super().__init__(function.plan, body, carrying)
        self.f, self.place = function, 0

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
        self.begin(e)
        self.through_all((body or self.body).flats, seeds, extra)

    def begin(self, e: Elements) -> None:
        """Begin with statements that have been written."""
        self.known, self.e = [], e

    def derivative(self, name: str) -> str:
        """See `Reverse`."""
        return by_name(name)

    def gated(self, made: Flat, guard: str, by: str) -> str:
        """See `Reverse`."""
        here = self.e.name(guard)
        if made.before in self.carrying:
            self.add(made.before or "", f"({here} ? (real)0 : {by})")
        return f"({here} ? {by} : (real)0)"

    def add_times(self, name: str, by: str, factor: ast.expr, steep: bool) -> None:
        """See `Reverse`."""
        one = isinstance(factor, ast.Constant) and factor.value == 1
        term = by if one else f"{by} * {self.e.write(factor)}"
        self.add(name, f"({by} == 0 ? (real)0 : {term})" if steep else term)

    def pull_table(self, table: str, args: Sequence[ast.expr], by: str) -> None:
        """See `Reverse`."""
        row = self.f.array(("by_row", table), "real")
        width = self.f.array(("width", table), "long")
        column = f"(long){self.e.write(args[1])}" if len(args) > 1 else "0"
        self.f.add(f"{row}[b * {width}[0] + {column}] += {by};")

    def add(self, name: str, by: str) -> None:
        """See `Reverse`."""
        if name in self.known:
            self.f.add(f"{by_name(name)} += {by};")
        else:
            self.known.append(name)
            self.f.add(f"real {by_name(name)} = {by};")

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
        self.begin(e)
        for name, final in kept.items():
            by = f"by_{local(name)}"
            self.f.add(f"const real {by} = {self.adjoint(name)};")
            if here and name not in timeless:
                self.f.add(f"total += {by} * {self.worth(name, final, here)};")
            if final in self.carrying and self._is_float_variable(name):
                self.add(final, f"({here} ? {by} : (real)0)" if here else by)
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
                    self.pull(made, f"({here} ? by{self.place} : (real)0)" if here else by)
                case _:
                    if made.name in self.known:
                        self.pull(made, by_name(made.name))
        for name in kept if here else ():
            if name in self.carrying:
                self.add(name, f"({here} ? (real)0 : by_{local(name)})")

    def worth(self, name: str, final: str, here: str) -> str:
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
