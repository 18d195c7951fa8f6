"""Crossing: which variable a spike carries over its threshold, and where it stands then.

A condition `v > theta` has the margin `v - theta`. A neuron that spikes does so at margin zero, so
the reset that belongs to a spike is that of the state with `v` moved to `theta`, wherever the
neuron stands now.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from ..program import Program, Slot
from .expression import ORDER, names, parse, substitute

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


def crossing(program: Program, threshold: Slot) -> Crossing | None:
    """The crossing of a threshold.

    None where no variable can be said to cross it: the condition compares nothing that changes,
    holds several such comparisons, or is no linear function of the variable.
    """
    condition = _condition(threshold)
    found = [
        (margin, moving)
        for margin in comparisons(condition)
        if (moving := list(_moving(program, threshold, margin)))
    ]
    if not found:
        return _escape(program, threshold, condition)
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


def comparisons(condition: ast.expr) -> Iterator[ast.expr]:
    """Margins of the comparisons in a condition, those with `rand()` left out."""
    for node in ast.walk(condition):
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in ORDER:
                if "rand()" not in (ast.unparse(left), ast.unparse(right)):
                    above = isinstance(op, ast.Gt | ast.GtE)
                    high, low = (left, right) if above else (right, left)
                    yield ast.BinOp(high, ast.Sub(), low)
            case _:
                pass


def _escape(program: Program, threshold: Slot, condition: ast.expr) -> Crossing | None:
    """Which variable decides on the probability of a spike, if one is reset by it."""
    found = list(_probabilities(condition))
    lowered = _reset_variables(program, threshold)
    for probability in found if len(found) == 1 else []:
        for name in _moving(program, threshold, probability):
            if _key(threshold, name) in lowered:
                return Crossing(_key(threshold, name), probability, None)
    return None


def _probabilities(condition: ast.expr) -> Iterator[ast.expr]:
    """What `rand()` is compared with in a condition."""
    for node in ast.walk(condition):
        match node:
            case ast.Compare(left=left, comparators=[right]):
                sides = (left, right)
                if "rand()" in map(ast.unparse, sides):
                    yield from (side for side in sides if ast.unparse(side) != "rand()")
            case _:
                pass


def _condition(threshold: Slot) -> ast.expr:
    """The condition of a threshold, local definitions written out."""
    *before, condition = threshold.statements
    known: dict[str, ast.expr] = {}
    for statement in before:
        known[statement.target] = substitute(parse(statement.expression), known)
    return substitute(parse(condition.expression), known)


def _moving(program: Program, threshold: Slot, margin: ast.expr) -> Iterator[str]:
    """Names in a margin that change from step to step, each element for itself."""
    changed = {key for slot in program.slots if slot.kind != "threshold" for key in slot.written()}
    for name in dict.fromkeys(names(margin)):
        ref = threshold.refs.get(name)
        if ref is None or ref.index is not None or ref.variable not in changed:
            continue
        variable = program.variables[ref.variable]
        if variable.kind == "float" and not variable.scalar:
            yield name


def _reset_variables(program: Program, threshold: Slot) -> set[str]:
    """Keys of the variables that the reset of a threshold sets."""
    resets = (s for s in program.slots if s.kind == "reset" and s.event == threshold.event)
    return set().union(*(slot.written() for slot in resets))


def _key(threshold: Slot, name: str) -> str:
    return threshold.refs[name].variable


def _falls(rate: ast.expr) -> bool:
    """Whether a margin certainly falls when the variable rises."""
    return isinstance(rate, ast.UnaryOp) and isinstance(rate.op, ast.USub)


def _place(margin: ast.expr, name: str, rate: ast.expr) -> ast.expr:
    """Where a margin that is linear in a variable becomes zero."""
    rest = ast.UnaryOp(ast.USub(), substitute(parse(ast.unparse(margin)), {name: ZERO}))
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
