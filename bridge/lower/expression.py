"""Expressions: parse a line of abstract code and render it for a backend.

Only a fixed set of syntax nodes is accepted and nothing is ever evaluated here, so an
expression that comes from a file is as harmless as one that Brian2 made.
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, cast

from mirrorneuron.errors import DomainError

INFIX: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}
CALLED: dict[type[ast.AST], str] = {
    ast.Div: "divide",
    ast.Pow: "power",
    ast.Mod: "mod",
    ast.FloorDiv: "floor_divide",
}
ORDER: dict[type[ast.AST], str] = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<="}
EQUALITY: dict[type[ast.AST], str] = {ast.Eq: "==", ast.NotEq: "!="}
LEAVES = (ast.Name, ast.Constant)
ALLOWED = (
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.Call,
    *LEAVES,
    *INFIX,
    *CALLED,
    *ORDER,
    *EQUALITY,
    ast.USub,
    ast.UAdd,
    ast.Not,
    ast.And,
    ast.Or,
    ast.Load,
)


def parse(text: str) -> ast.expr:
    """Syntax tree of an expression.

    Raises:
        DomainError: It contains something other than arithmetic, comparisons and calls.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DomainError(
            f"{text!r} is not an expression ({error}). Write arithmetic, comparisons and function"
            " calls."
        ) from error
    for node in ast.walk(tree):
        if not (isinstance(node, ALLOWED) and _is_plain(node)):
            found = f"{type(node).__name__} {ast.unparse(node)}".strip()
            raise DomainError(
                f"The expression {text!r} contains {found}, which has no meaning in Brian2 code."
                " Write arithmetic, comparisons and function calls only."
            )
    return tree


def _is_plain(node: ast.AST) -> bool:
    """Whether a constant is a number, a comparison has two sides, and a call names a function."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, bool | int | float)
        case ast.Compare(ops=ops):
            return len(ops) == 1
        case ast.Call(func=func):
            return isinstance(func, ast.Name)
        case _:
            return True


def names(node: ast.AST) -> Iterator[str]:
    """Every name in a tree, functions included."""
    return (child.id for child in ast.walk(node) if isinstance(child, ast.Name))


@dataclass(frozen=True)
class Renderer:
    """Text of an expression in a backend's language.

    Arguments:
        name: Text for a name.
        call: Text for a call of the function `name` with rendered arguments.
    """

    name: Callable[[str], str]
    call: Callable[[str, list[str]], str]

    def __call__(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return self.name(name)
            case ast.Constant(value=value):
                return repr(value)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in INFIX:
                return f"({self(left)} {INFIX[type(op)]} {self(right)})"
            case ast.BinOp(left=left, op=op, right=right):
                return self.call(CALLED[type(op)], [self(left), self(right)])
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-{self(operand)})"
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self(operand)
            case ast.UnaryOp(operand=operand):
                return self.call("logical_not", [self(operand)])
            case ast.BoolOp(op=op, values=values):
                sign = " & " if isinstance(op, ast.And) else " | "
                return "(" + sign.join(map(self, values)) + ")"
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                sign = (ORDER | EQUALITY)[type(op)]
                return f"({self(left)} {sign} {self(right)})"
            case ast.Call(func=ast.Name(id=name), args=args):
                return self.call(name, [self(arg) for arg in args])
            case _:
                raise DomainError(f"No meaning is known for {ast.unparse(node)!r}.")


def rebuilt(node: ast.expr, change: Callable[[ast.expr], ast.expr]) -> ast.expr:
    """The tree with `change` applied to each part of its root; names of functions stay."""
    if isinstance(node, LEAVES):
        return node
    changed = {
        name: _each(value, change) for name, value in ast.iter_fields(node) if name != "func"
    }
    fields: dict[str, Any] = {**dict(ast.iter_fields(node)), **changed}
    return type(node)(**fields)


def substitute(node: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    """The tree with names replaced by trees."""
    if isinstance(node, ast.Name):
        return values.get(node.id, node)
    return rebuilt(node, lambda child: substitute(child, values))


def hoist(node: ast.expr, varying: Set[str], keep: Callable[[ast.expr], ast.expr]) -> ast.expr:
    """Replace every largest part without a varying name by what `keep` returns for it.

    The order of operations stays the same, so that no rounding changes.
    """
    if not varying & set(names(node)):
        return node if isinstance(node, ast.Constant) else keep(node)
    return rebuilt(node, lambda child: hoist(child, varying, keep))


def _each(value: object, change: Callable[[ast.expr], ast.expr]) -> object:
    """Apply `change` to the expressions in a field of a node."""
    if isinstance(value, list):
        return [_each(item, change) for item in cast(list[object], value)]
    return change(value) if isinstance(value, ast.expr) else value
