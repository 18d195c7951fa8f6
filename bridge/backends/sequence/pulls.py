"""Pulls: lines that pass derivatives backward through statements."""

import ast
from collections.abc import Iterator, Mapping, Sequence, Set

from ...lower.expression import LEAVES, rebuilt
from ...lower.flat import Flat, pulls
from ...lower.functions import FUNCTIONS, TRANSCENDENTAL
from ...lower.step import Write
from ...program import Ref
from ..native.body import KEPT, Body, plain_name
from ..native.plan import Plan
from .statements import Statements, by_name


class Pulls:
    """Lines that go back through a body.

    Arguments:
        plan: What the network does.
        body: The statements.
        carrying: Names that have a gradient.
        text: What writes their values.
    """

    def __init__(self, plan: Plan, body: Body, carrying: Set[str], text: Statements) -> None:
        self.plan, self.program, self.body = plan, plan.program, body
        self.carrying, self.text = carrying, text
        self.lines: list[str] = []
        self.known: list[str] = []

    def add(self, name: str, by: str, factor: str = "1") -> None:
        """Add to the derivative by a name."""
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
        open_ = {**(extra or {})}
        for name, by in seeds.items():
            self.add(name, by)
        made_here = {m.name for m in (self.body.flats if flats is None else flats)}
        for made in reversed(self.body.flats if flats is None else flats):
            if made.name in open_:
                self.add(made.name, open_.pop(made.name))
            if made.name in self.known:
                self.through(made, by_name(made.name))
        for name, by in open_.items():
            if name not in made_here:
                self.add(name, by)

    def through(self, made: Flat, by: str) -> None:
        """Pass the derivative by a value on."""
        operation = made.operation
        if isinstance(operation, Write):
            if operation.guard:
                guard = self.text.name(operation.guard)
                self.lines.append(f"g_ = f.where({guard}, {by}, 0.0)")
                if made.before in self.carrying:
                    self.add(made.before or "", f"({by} - g_)")
                by = "g_"
            if self.program.variables[operation.ref.variable].kind != "float":
                return
        self.pull(made, by)

    def pull(self, made: Flat, by: str) -> None:
        """Pass a derivative on to the operands of an operation."""
        tree, steep = made.operation.tree, False
        match tree:
            case ast.Call(func=ast.Name(id=function), args=args):
                if function in self.body.tables:
                    self._pull_table(function, args, by)
                    return
                plain, bounded = plain_name(function)
                tree = ast.Call(ast.Name(plain, ast.Load()), args, [])
                steep = plain in TRANSCENDENTAL and not bounded and not FUNCTIONS[plain].bounded
            case ast.BinOp(op=ast.Pow()):
                steep = True
            case _:
                pass
        for pull in pulls(tree, self.carrying):
            factor = self._factor(pull.factor, tree, made.name)
            if steep:
                self.add(pull.source, f"c.chain({by}, {factor})")
            else:
                self.add(pull.source, by, factor)

    def _factor(self, factor: ast.expr, tree: ast.expr, value: str) -> str:
        """Text of a factor, in which the value itself is not computed again."""
        whole = ast.unparse(tree)

        def write(node: ast.expr) -> ast.expr:
            if not isinstance(node, LEAVES) and ast.unparse(node) == whole:
                return ast.Name(value, ast.Load())
            return node if isinstance(node, LEAVES) else rebuilt(node, write)

        match made := write(factor):
            case ast.Constant(value=1):
                return "1"
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)):
                return "-1"
            case _:
                return self.text.operand(made)

    def _pull_table(self, name: str, args: Sequence[ast.expr], by: str) -> None:
        """What passes to the row of a TimedArray that an input gives."""
        table = self.program.tables[self.body.tables[name]].name
        if table in self.plan.active:
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
