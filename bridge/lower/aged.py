"""Aged: variables of synapses that are stored as they were when a spike last came.

Brian2 brings event-driven variables up to date when a spike arrives, and notes the time in
`lastupdate`. A spike that might come now would change what they are now. Of a change of what is
stored only a part is left by now, so that the change counts as much more of what is stored.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import add, mul, sub, truediv

import numpy as np

from ..program import Deliver, Program, Ref, Slot
from .derivative import ZERO, derivative
from .expression import names, substitute
from .functions import FUNCTIONS
from .step import Keep, operations

SAMPLES = 3
ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: add,
    ast.Sub: sub,
    ast.Mult: mul,
    ast.Div: truediv,
    ast.Pow: pow,
}


@dataclass(frozen=True)
class Aged:
    """A variable that a statement brings up to date.

    Arguments:
        number: Place of the statement among those of the slot.
        left: What is left now of a change of the stored value, in the names before the statement;
            None where other variables change the value too.
    """

    number: int
    left: ast.expr | None


def aged(program: Program, slot: Deliver) -> Mapping[str, Aged]:
    """Local names of the variables that are brought up to date when a spike arrives."""
    own = {name for name, ref in slot.refs.items() if ref.index is None}
    late = {name for name in own if is_last_update(slot.refs[name])}
    if not late:
        return {}
    still = late | {name for name, meaning in slot.clock.items() if meaning == "t"}
    changed = {s.target for s in slot.statements} & own - late
    whole: dict[str, ast.expr] = {}
    found: dict[str, Aged] = {}
    written: set[str] = set()
    for number, operation in enumerate(operations(program, slot)):
        target, tree = operation.name, substitute(operation.tree, whole)
        first = target not in written
        written.add(target)
        if not late & set(names(tree)):
            continue
        if target not in slot.refs:
            whole[target] = tree
        elif first and isinstance(operation, Keep) and _stays(tree, target, still):
            coupled = any(derivative(tree, name) is not ZERO for name in changed - {target})
            found[target] = Aged(number, None if coupled else derivative(tree, target))
    return found


def left_by_statement(program: Program, slot: Slot) -> Mapping[int, ast.expr]:
    """By place of the statement: what is left now of the variable that it brings up to date."""
    made = aged(program, slot).values() if isinstance(slot, Deliver) else ()
    return {variable.number: variable.left for variable in made if variable.left is not None}


def only_ages(program: Program, slot: Deliver) -> bool:
    """Whether the time of the last spike does nothing but bring variables up to date.

    Then what a spike does to that time has no derivative of its own.
    """
    made = aged(program, slot)
    if not made or any(variable.left is None for variable in made.values()):
        return False
    moving = {name for name, ref in slot.refs.items() if is_last_update(ref)}
    chosen = {variable.number for variable in made.values()}
    for number, operation in enumerate(operations(program, slot)):
        if moving & set(names(operation.tree)) and number not in chosen:
            if operation.name in slot.refs:
                return False
            moving.add(operation.name)
    return True


def is_last_update(ref: Ref) -> bool:
    """Whether a variable is the time when synapses were brought up to date."""
    return ref.index is None and ref.variable.endswith(".lastupdate")


def _stays(tree: ast.expr, target: str, still: set[str]) -> bool:
    """Whether a variable is what it was when no time has passed."""
    random = np.random.default_rng(0)
    for _ in range(SAMPLES):
        values = {name: random.uniform(0.2, 0.8) for name in sorted(set(names(tree)))}
        values |= dict.fromkeys(still, 0.5)
        try:
            now = _value(tree, values)
        except (KeyError, TypeError, ZeroDivisionError, OverflowError):
            return False
        if not np.isclose(now, values.get(target, np.nan), rtol=1e-9):
            return False
    return True


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    """What an expression is worth.

    Raises:
        KeyError: It calls a function of the user's.
        TypeError: It compares.
    """
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, values)
        case ast.Call(func=ast.Name(id=name), args=args):
            return float(FUNCTIONS[name].numpy(*(_value(arg, values) for arg in args)))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            return float(ARITHMETIC[type(op)](_value(left, values), _value(right, values)))
        case _:
            raise TypeError(ast.dump(node))
