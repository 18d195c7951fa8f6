"""margin: the distance to threshold of a group, as a value that can be recorded."""

import ast
from collections.abc import Iterator
from dataclasses import replace

from ..program import Slot, Statement
from .expression import ORDER, names, parse, substitute
from .functions import RANDOM

MARGIN = ".margin"


def margin(threshold: Slot) -> Slot | None:
    """What a threshold compares: left minus right of `>`, minus infinity where no spike is allowed.

    Arguments:
        threshold: Slot of a threshold.

    Returns:
        A value taken just before the threshold is tested; None unless the condition is one
        comparison, alone or joined to truth values by `and`.
    """
    floats, condition = _condition(threshold)
    parts = list(_conjuncts(condition))
    compared = [part for part in parts if _orders(part)]
    others = [part for part in parts if not _orders(part)]
    if len(compared) != 1 or any(_orders(node) for part in others for node in ast.walk(part)):
        return None
    if RANDOM & set(names(condition)):
        return None
    text = _difference(compared[0])
    if others:
        text = f"where({' and '.join(f'({ast.unparse(part)})' for part in others)}, {text}, -inf)"
    value = Statement("_margin", ":=", text, "float", False)
    return replace(
        threshold, kind="value", scalar=(), vector=(*floats, value), event=None, refractory=False,
        margin=None, unit=threshold.margin,
    )  # fmt: skip


def _condition(threshold: Slot) -> tuple[list[Statement], ast.expr]:
    """Statements before the condition, and the condition with its truth values spelled out."""
    truths: dict[str, ast.expr] = {}
    floats: list[Statement] = []
    for statement in threshold.statements:
        expression = substitute(parse(statement.expression), truths)
        if statement.kind == "boolean":
            truths[statement.target] = expression
        else:
            floats.append(replace(statement, expression=ast.unparse(expression)))
    return floats, truths[threshold.statements[-1].target]


def _conjuncts(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            for value in values:
                yield from _conjuncts(value)
        case _:
            yield node


def _orders(node: ast.AST) -> bool:
    return isinstance(node, ast.Compare) and type(node.ops[0]) in ORDER


def _difference(node: ast.expr) -> str:
    assert isinstance(node, ast.Compare)
    left, right = ast.unparse(node.left), ast.unparse(node.comparators[0])
    above = isinstance(node.ops[0], ast.Gt | ast.GtE)
    return f"({left}) - ({right})" if above else f"({right}) - ({left})"
