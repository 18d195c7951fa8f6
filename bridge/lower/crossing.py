"""Crossing: which variable a spike carries over its threshold, and where it stands then.

A condition `v > theta` has the margin `v - theta`. A neuron that spikes does so at margin zero, so
the reset that belongs to a spike is that of the state with `v` moved to `theta`, wherever the
neuron stands now.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from ..program import Program, Threshold
from .condition import Chance, Condition, Margin, condition, leaves
from .expression import names, substitute

ZERO, ONE = ast.Constant(0), ast.Constant(1)


class Crossing(NamedTuple):
    """How a threshold is crossed, in the local names of its slot.

    Arguments:
        variable: Key of the variable that moves, `cells.v`.
        margin: Distance to threshold, positive above it; of an escape rate, the probability of a
            spike.
        place: Value of the variable at margin zero; None for an escape rate, which has no such.
    """

    variable: str
    margin: ast.expr
    place: ast.expr | None


def crossing(program: Program, threshold: Threshold) -> Crossing | None:
    """The crossing of a threshold.

    None where no variable can be said to cross it: the condition compares nothing that changes,
    holds several such comparisons, or is no linear function of the variable.
    """
    whole = _condition(threshold)
    found = [
        (leaf.tree, moving)
        for leaf in leaves(whole)
        if isinstance(leaf, Margin) and (moving := list(_moving(program, threshold, leaf.tree)))
    ]
    if not found:
        return _escape(program, threshold, whole)
    if len(found) != 1:
        return None
    margin, moving = found[0]
    lowered = _reset_variables(program, threshold)
    candidates = [(name, s) for name in moving if (s := slope(margin, name)) is not None]
    ranked = sorted(
        candidates, key=lambda pair: (_falls(pair[1]), _key(threshold, pair[0]) not in lowered)
    )
    if not ranked:
        return None
    name, rate = ranked[0]
    return Crossing(_key(threshold, name), margin, _place(margin, name, rate))


def _escape(program: Program, threshold: Threshold, whole: Condition) -> Crossing | None:
    """Which variable decides on the probability of a spike, if one is reset by it."""
    found = [leaf.probability for leaf in leaves(whole) if isinstance(leaf, Chance)]
    lowered = _reset_variables(program, threshold)
    for probability in found if len(found) == 1 else []:
        for name in _moving(program, threshold, probability):
            if _key(threshold, name) in lowered:
                return Crossing(_key(threshold, name), probability, None)
    return None


def _condition(threshold: Threshold) -> Condition:
    """The condition of a threshold, local definitions written out."""
    *before, last = threshold.statements
    known: dict[str, ast.expr] = {}
    for statement in before:
        known[statement.target] = substitute(statement.tree, known)
    return condition(substitute(last.tree, known))


def _moving(program: Program, threshold: Threshold, margin: ast.expr) -> Iterator[str]:
    """Names in a margin that change from step to step, each element for itself."""
    others = (slot for slot in program.slots if not isinstance(slot, Threshold))
    changed = {key for slot in others for key in slot.written()}
    for name in dict.fromkeys(names(margin)):
        ref = threshold.refs.get(name)
        if ref is None or ref.index is not None or ref.variable not in changed:
            continue
        variable = program.variables[ref.variable]
        if variable.kind == "float" and not variable.scalar:
            yield name


def _reset_variables(program: Program, threshold: Threshold) -> set[str]:
    """Keys of the variables that the reset of a threshold sets."""
    return set().union(*(slot.written() for slot in program.resets(threshold.event)))


def _key(threshold: Threshold, name: str) -> str:
    return threshold.refs[name].variable


def _falls(rate: ast.expr) -> bool:
    """Whether a margin certainly falls when the variable rises."""
    return isinstance(rate, ast.UnaryOp) and isinstance(rate.op, ast.USub)


def _place(margin: ast.expr, name: str, rate: ast.expr) -> ast.expr:
    """Where a margin that is linear in a variable becomes zero."""
    rest = ast.UnaryOp(ast.USub(), substitute(margin, {name: ZERO}))
    return rest if rate is ONE else ast.BinOp(rest, ast.Div(), rate)


def slope(node: ast.expr, name: str) -> ast.expr | None:
    """Derivative of a tree by a name that it depends on linearly.

    None where it does not depend on it linearly.
    """
    if name not in names(node):
        return ZERO
    match node:
        case ast.Name():
            return ONE
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _negative(slope(operand, name))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return slope(operand, name)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _sum(slope(left, name), slope(right, name))
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _sum(slope(left, name), _negative(slope(right, name)))
        case ast.BinOp(left=left, op=ast.Mult(), right=right) if name not in names(right):
            return _product(slope(left, name), right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right) if name not in names(left):
            return _product(slope(right, name), left)
        case ast.BinOp(left=left, op=ast.Div(), right=right) if name not in names(right):
            return _product(slope(left, name), ast.BinOp(ONE, ast.Div(), right))
        case _:
            return None


def _negative(a: ast.expr | None) -> ast.expr | None:
    return a if a is None or a is ZERO else ast.UnaryOp(ast.USub(), a)


def _sum(a: ast.expr | None, b: ast.expr | None) -> ast.expr | None:
    if a is None or b is None:
        return None
    if a is ZERO or b is ZERO:
        return b if a is ZERO else a
    return ast.BinOp(a, ast.Add(), b)


def _product(a: ast.expr | None, factor: ast.expr) -> ast.expr | None:
    if a is None or a is ZERO:
        return a
    return factor if a is ONE else ast.BinOp(a, ast.Mult(), factor)
