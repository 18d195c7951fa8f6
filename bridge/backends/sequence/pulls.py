"""Pulls: lines that pass derivatives backward through statements."""

import ast
from collections.abc import Iterator, Mapping, Sequence, Set

from ...lower.flat import Flat
from ...program import Ref
from .._body import KEPT, Body
from .._plan import Plan
from .._reverse import Reverse
from .statements import Statements, by_name


class Pulls(Reverse):
    """Lines that go back through a body.

    Arguments:
        plan: What the network does.
        body: The statements.
        carrying: Names that have a gradient.
        text: What writes their values.
    """

    def __init__(self, plan: Plan, body: Body, carrying: Set[str], text: Statements) -> None:
        super().__init__(plan, body, carrying)
        self.text = text
        self.lines: list[str] = []

    def derivative(self, name: str) -> str:
        """See `Reverse`."""
        return by_name(name)

    def add(self, name: str, by: str) -> None:
        """See `Reverse`."""
        self._add(name, by, "1")

    def add_times(self, name: str, by: str, factor: ast.expr, steep: bool) -> None:
        """See `Reverse`."""
        match factor:
            case ast.Constant(value=1):
                written = "1"
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)):
                written = "-1"
            case _:
                written = self.text.operand(factor)
        if steep:
            self.add(name, f"c.chain({by}, {written})")
        else:
            self._add(name, by, written)

    def _add(self, name: str, by: str, factor: str) -> None:
        to, old = by_name(name), name in self.known
        match factor:
            case "1":
                value = f"{to} + {by}" if old else by
            case "-1":
                value = f"{to} - {by}" if old else f"-{by}"
            case _:
                single = factor.startswith(("Q[", "N["))
                plus = "torch.addcmul" if single else "c.plus"
                value = f"{plus}({to}, {by}, {factor})" if old else f"{by} * {factor}"
        self.lines.append(f"{to} = {value}")
        self.known += [] if old else [name]

    def back(
        self,
        seeds: Mapping[str, str],
        flats: Sequence[Flat] | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """Pass derivatives on, from values to what they were made of.

        Arguments:
            seeds: Name of each value to the derivative by it.
            flats: The operations, by default all of the body.
            extra: Derivatives that come on top.
        """
        self.through_all(self.body.flats if flats is None else flats, seeds, extra)

    def gated(self, made: Flat, guard: str, by: str) -> str:
        """See `Reverse`."""
        self.lines.append(f"g_ = f.where({self.text.name(guard)}, {by}, 0.0)")
        if made.before in self.carrying:
            self.add(made.before or "", f"({by} - g_)")
        return "g_"

    def pull_table(self, table: str, args: Sequence[ast.expr], by: str) -> None:
        """See `Reverse`."""
        column = self.text.write(args[1]) if len(args) > 1 else "None"
        self.lines.append(f"c.pull_table({table!r}, {column}, {by})")

    # ---- where derivatives are added up

    def seed(self, name: str) -> str:
        """Derivative by a variable, as the elements have it."""
        ref = self.body.refs[name]
        text = f"A[{ref.variable!r}]"
        return f"c.seen({text}, {ref.index!r})" if ref.index else text

    def store(self, keep: Set[str] = frozenset(), rest: str = "") -> None:
        """Put the derivatives by what was read where they are added up.

        Arguments:
            keep: Written variables whose derivative stays, and grows.
            rest: Factor of the derivative by other written variables that stays, if any does.
        """
        read: list[str] = []
        for name, ref in self.body.refs.items():
            if ref.variable not in self.plan.active:
                continue
            known = name in self.known
            if name not in self.body.final or name in keep:
                read += [name] if known else []
            elif known or self.body.final[name] in self.carrying:
                self.lines += self._replace(ref, by_name(name) if known else "", rest)
        for name in read:
            ref = self.body.refs[name]
            to = f"A[{ref.variable!r}]"
            self.lines.append(f"{to} = {self._added(to, ref, by_name(name))}")
        for name in self.known:
            if name.startswith(KEPT) and self.plan.kept[int(name[2:-1])].wanted:
                self.lines.append(f"c.gather({name[2:-1]}, {by_name(name)})")

    def _replace(self, ref: Ref, by: str, rest: str) -> Iterator[str]:
        """Lines that replace the derivative by a variable."""
        to = f"A[{ref.variable!r}]"
        if ref.index:
            yield f"{to} = c.replaced({to}, {ref.index!r}, {by or '0.0'}, {rest or 'None'})"
        elif rest:
            yield f"{to} = {self._added(f'{to} * {rest}', ref, by) if by else f'{to} * {rest}'}"
        elif by:
            yield f"{to} = {self._whole(ref, by)}"
        else:
            yield f"{to} = torch.zeros_like({to})"

    def _added(self, to: str, ref: Ref, by: str) -> str:
        if ref.index:
            return f"c.scattered({to}, {ref.index!r}, {by})"
        return f"{to} + {self._whole(ref, by)}"

    def _whole(self, ref: Ref, by: str) -> str:
        """A derivative as that of the variable: summed where all elements share it."""
        shared = self.program.variables[ref.variable].value.size == 1
        return f"c.total({by})" if shared else by

    @property
    def needs(self) -> set[str]:
        """Names of the values that the lines use."""
        return self.text.used


def called(name: str, args: list[str]) -> str:
    """Text of a call of a function that statements know."""
    return f"f.{name}({', '.join(args)})"
