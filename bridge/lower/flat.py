"""Flat: operations as a list of single steps, each of which has a name.

`x = a*exp(-b)` becomes `_0 = -b`, `_1 = exp(_0)`, `x = a*_1`. Each value has one name and is
computed once, also where an expression mentions it twice; so its adjoint is one number, and what
passes backward is one product for each operand. Engines that write out the reverse of a slot use
this form.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from .adjoint import Pull, single_assignment
from .derivative import ONE, gradient
from .expression import LEAVES, rebuilt
from .simplify import BOUNDED
from .step import Define, Operation

Fresh = Callable[[], str]


@dataclass(frozen=True)
class Flat:
    """One operation whose operands are names or numbers.

    Arguments:
        operation: What it does; its tree has depth one.
        before: Name of what the variable was before; None for a local name.
    """

    operation: Operation
    before: str | None = None

    @property
    def name(self) -> str:
        """Name of the value."""
        return self.operation.name


def flat(operations: Iterable[Operation]) -> Iterator[Flat]:
    """Operations one by one, with a name of its own for each value.

    Arguments:
        operations: What a slot does, in order; random numbers are names already.
    """
    known: dict[str, str] = {}
    for operation, before in single_assignment(operations):
        made: list[Flat] = []

        def name(node: ast.expr, once: bool = operation.once, made: list[Flat] = made) -> ast.expr:
            small = rebuilt(node, name)
            if isinstance(small, LEAVES):
                return small
            text = ast.unparse(small)
            if text not in known:
                known[text] = f"_{len(known)}"
                made.append(Flat(Define(known[text], small, once)))
            return ast.Name(known[text], ast.Load())

        tree = rebuilt(operation.tree, name)
        yield from made
        yield Flat(replace(operation, tree=tree), before)


def pulls(tree: ast.expr, carrying: Iterable[str]) -> tuple[Pull, ...]:
    """What passes backward from a flat tree to its operands.

    Of a power with an exponent that is trained, the derivative by the exponent is zero where the
    base is not positive.

    Arguments:
        tree: Of depth one.
        carrying: Names that have a gradient.
    """
    wanted = set(carrying)
    match tree:
        case ast.Call(func=ast.Name(id=name), args=args) if name.endswith(BOUNDED):
            plain = ast.Name(name.removesuffix(BOUNDED), ast.Load())
            return pulls(ast.Call(plain, args, []), wanted)
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Name(id=name)) if name in wanted:
            inside = ast.Compare(left, [ast.Gt()], [ast.Constant(0)])
            base = ast.Call(ast.Name("where", ast.Load()), [inside, left, ONE], [])
            slope = ast.BinOp(tree, ast.Mult(), ast.Call(ast.Name("log", ast.Load()), [base], []))
            others = gradient(tree, wanted - {name})
            return (*(Pull(n, f) for n, f in others.items()), Pull(name, slope))
        case _:
            return tuple(Pull(n, f) for n, f in gradient(tree, wanted).items())
