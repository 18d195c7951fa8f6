"""Kinds: what numpy computes with booleans and whole numbers, written out.

Brian2's numpy target leaves arithmetic to numpy, whose types decide on results: two truth values
add up to their disjunction, 32-bit whole numbers wrap. `with_kinds` writes such arithmetic as
calls, so that an engine which holds all numbers as floats gives the same values:

    real(x)                         a truth value as 0 or 1
    either_of(a, b), both_of(a, b)  sum and product of truth values
    wrap(x)                         the lowest 32 bits of a whole number, with its sign
    whole_product(a, b, bits)       a*b without rounding, of which so many bits are kept
    whole_power(a, b, bits)         a**b likewise
    whole_ratio(a, b)               a//b, and 0 where b is 0
    whole_rest(a, b)                a%b, and 0 where b is 0
"""

import ast
from collections.abc import Mapping
from typing import Literal

from ..program import Program, Slot
from .expression import rebuilt

Kind = Literal["boolean", "literal", "int32", "int64", "float", "unknown"]
WHOLE: tuple[Kind, ...] = ("literal", "int32", "int64")
ROUNDING = {"int", "floor", "ceil"}
KEEPING = {"abs", "clip", "where"}
TRUTHS: Mapping[type[ast.operator], str] = {ast.Add: "either_of", ast.Mult: "both_of"}
LIMITED: Mapping[type[ast.operator], str] = {ast.Mult: "whole_product", ast.Pow: "whole_power"}
DIVIDED: Mapping[type[ast.operator], str] = {ast.FloorDiv: "whole_ratio", ast.Mod: "whole_rest"}


def kinds_of(program: Program, slot: Slot) -> dict[str, Kind]:
    """What the names in the statements of a slot hold, as numpy has it."""
    known: dict[str, Kind] = {"pi": "float", "e": "float", "inf": "float", "nan": "float"}
    for name, ref in slot.refs.items():
        kind = program.variables[ref.variable].kind
        width = program.variables[ref.variable].value.dtype.itemsize
        known[name] = kind if kind != "integer" else "int32" if width <= 4 else "int64"
    for name, value in slot.constants.items():
        kind = "boolean" if isinstance(value, bool) else "literal"
        known[name] = "float" if isinstance(value, float) else kind
    for name, meaning in slot.clock.items():
        known[name] = "int64" if meaning == "step" else "float"
    known |= {name: "unknown" for name, key in slot.functions.items() if key in program.functions}
    for statement in slot.statements:
        if statement.target not in slot.refs:
            known[statement.target] = kind_of(statement.tree, known)
    return known


def kind_of(node: ast.expr, known: Mapping[str, Kind]) -> Kind:
    """What an expression holds, as numpy has it.

    Arguments:
        node: The expression.
        known: What names hold; others hold real numbers.
    """
    match node:
        case ast.Constant(value=bool()):
            return "boolean"
        case ast.Constant(value=int()):
            return "literal"
        case ast.Name(id=name):
            return known.get(name, "float")
        case ast.UnaryOp(op=ast.Not()) | ast.Compare() | ast.BoolOp():
            return "boolean"
        case ast.UnaryOp(operand=operand):
            return kind_of(operand, known)
        case ast.BinOp(left=left, op=op, right=right):
            return _computed(op, kind_of(left, known), kind_of(right, known))
        case ast.Call(func=ast.Name(id=name), args=args):
            return known.get(name) or _called(name, [kind_of(arg, known) for arg in args])
        case _:
            return "float"


def _called(name: str, args: list[Kind]) -> Kind:
    if name in ROUNDING:
        return "int32"
    if name == "timestep":
        return "int64"
    if name in KEEPING:
        kind = args[1] if name == "where" else args[0]
        for other in args[1:]:
            kind = _joined(kind, other)
        return kind
    return "float"


def _computed(op: ast.operator, left: Kind, right: Kind) -> Kind:
    if isinstance(op, ast.Div):
        return "float"
    if left == right == "boolean":
        return "boolean" if type(op) in TRUTHS else "int64"
    return _joined(left, right)


def _joined(left: Kind, right: Kind) -> Kind:
    """What numpy makes of two operands: literals take the width of the other side."""
    pair = {left, right}
    if pair == {"boolean"}:
        return "boolean"
    if pair & {"float", "unknown"}:
        return "float"
    if "int64" in pair or pair == {"boolean", "literal"}:
        return "int64"
    return "int32" if "int32" in pair else "literal"


def with_kinds(node: ast.expr, known: Mapping[str, Kind]) -> ast.expr:
    """The expression with what numpy does to booleans and whole numbers written out.

    Arithmetic of real numbers stays as it is.

    Example:
        >>> known = {"on": "boolean", "n": "int32", "v": "float"}
        >>> ast.unparse(with_kinds(ast.parse("v + 0.1*on + n", mode="eval").body, known))
        'v + 0.1 * real(on) + n'
        >>> ast.unparse(with_kinds(ast.parse("n + 1", mode="eval").body, known))
        'wrap(n + 1)'
    """
    made = rebuilt(node, lambda child: with_kinds(child, known))
    match node, made:
        case ast.BinOp(), ast.BinOp(op=op):
            left, right = kind_of(node.left, known), kind_of(node.right, known)
            return _arithmetic(op, made, left, right)
        case ast.UnaryOp(op=ast.USub() as op, operand=operand), ast.UnaryOp():
            kind = kind_of(operand, known)
            negative = ast.UnaryOp(op, _real(made.operand, kind))
            return _call("wrap", negative) if kind == "int32" else negative
        case ast.Compare(comparators=[other]), ast.Compare(left=a, ops=ops, comparators=[b]):
            left, right = kind_of(node.left, known), kind_of(other, known)
            if left == right == "boolean" and isinstance(ops[0], ast.Eq | ast.NotEq):
                return made
            return ast.Compare(_real(a, left), ops, [_real(b, right)])
        case ast.Call(func=ast.Name(id=name)), ast.Call(args=args) if name in KEEPING:
            kinds: list[Kind] = [kind_of(arg, known) for arg in node.args]
            if set(kinds[name == "where" :]) == {"boolean"}:
                return made
            plain = 1 if name == "where" else 0  # its condition
            rest = zip(args[plain:], kinds[plain:], strict=True)
            real = [_real(arg, kind) for arg, kind in rest]
            return ast.Call(made.func, [*args[:plain], *real], [])
        case _:
            return made


def _arithmetic(op: ast.operator, made: ast.BinOp, left: Kind, right: Kind) -> ast.expr:
    """One operation, as numpy does it."""
    if left == right == "boolean" and type(op) in TRUTHS:
        return _call(TRUTHS[type(op)], made.left, made.right)
    a, b = _real(made.left, left), _real(made.right, right)
    kind = "int64" if left == right == "boolean" else _joined(left, right)
    if kind not in ("int32", "int64") or isinstance(op, ast.Div):
        return ast.BinOp(a, op, b)
    if type(op) in LIMITED:
        return _call(LIMITED[type(op)], a, b, ast.Constant(32 if kind == "int32" else 64))
    if type(op) in DIVIDED:
        return _call(DIVIDED[type(op)], a, b)
    return _call("wrap", ast.BinOp(a, op, b)) if kind == "int32" else ast.BinOp(a, op, b)


def _real(node: ast.expr, kind: Kind) -> ast.expr:
    return _call("real", node) if kind in ("boolean", "unknown") else node


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def margin_with_kinds(margin: ast.expr, known: Mapping[str, Kind]) -> ast.expr:
    """A margin likewise: a comparison of whole numbers does not wrap as their difference does."""
    if not (isinstance(margin, ast.BinOp) and isinstance(margin.op, ast.Sub)):
        return with_kinds(margin, known)
    sides = (margin.left, margin.right)
    a, b = (_real(with_kinds(side, known), kind_of(side, known)) for side in sides)
    return ast.BinOp(a, ast.Sub(), b)
