"""Crossing: which variable a spike carries over its threshold, and where it stands then.

A condition `v > theta` has the margin `v - theta`. A neuron that spikes does so at margin zero, so
the reset that belongs to a spike is that of the state with `v` moved to `theta`, wherever the
neuron stands now.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from mirrorneuron.errors import GradientError

from ..program import Program, Threshold
from .condition import Chance, Condition, Margin, condition, leaves
from .derivative import ONE, ZERO, derivative
from .expression import names, substitute


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


def uncrossed(program: Program, threshold: Threshold) -> str:
    """Why no variable crosses a threshold, where several comparisons could be meant."""
    found = [
        ast.unparse(leaf.tree)
        for leaf in leaves(_condition(threshold))
        if isinstance(leaf, Margin) and any(_moving(program, threshold, leaf.tree))
    ]
    several = "; ".join(f"{text} > 0" for text in found)
    return f", as its condition compares {len(found)} ({several})" if len(found) > 1 else ""


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


def slope(margin: ast.expr, name: str) -> ast.expr | None:
    """Derivative of a margin by a name on which it depends linearly; None if it does not."""
    try:
        found = derivative(margin, name)
    except GradientError:
        return None
    return None if name in names(found) else found
