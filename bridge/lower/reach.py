"""Reach: to which variables and spikes the gradient of a parameter can pass.

A comparison, a condition or a rounding gives the same value for a little more or less of what it
looks at: nothing passes, except through the margin of a threshold, where a surrogate stands in.
Where in doubt something passes, so that only what surely has no gradient is found to have none.
"""

import ast
from collections.abc import Iterator, Set

from ..program import Deliver, Host, Program, Reset, Slot, Statement, Sum, Threshold, Value
from .expression import ORDER, names

STOPS = {"int", "floor", "ceil", "sign", "timestep"}


def reached(program: Program, keys: Set[str]) -> set[str]:
    """Keys of the variables, events and recorded values to which gradients of `keys` can pass."""
    found: set[str] = set()
    slots = (*program.slots, *program.values.values())
    while True:
        more = {key for slot in slots for key in _outcome(program, slot, found | keys)} - found
        if not more:
            return found
        found |= more


def influenced(program: Program, keys: Set[str]) -> set[str]:
    """Keys of the variables that statements set from `keys`, with or without a gradient."""
    return {key for slot in program.slots for key in _direct(slot, keys)}


def _direct(slot: Slot, keys: Set[str]) -> Iterator[str]:
    local = _local(slot, keys)
    for statement in slot.statements:
        if local & set(names(statement.tree)):
            if statement.target in slot.refs:
                yield slot.refs[statement.target].variable
            else:
                local.add(statement.target)


def _passes(node: ast.expr, local: Set[str], condition: bool) -> bool:
    """Whether a gradient passes from some names through an expression.

    Arguments:
        node: The expression.
        local: Names.
        condition: Whether it is the condition of a threshold.
    """

    def any_of(*children: ast.expr) -> bool:
        return any(_passes(child, local, condition) for child in children)

    match node:
        case ast.Name(id=name):
            return name in local
        case ast.BinOp(left=left, right=right):
            return any_of(left, right)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return condition and any_of(operand)
        case ast.UnaryOp(operand=operand):
            return any_of(operand)
        case ast.BoolOp(values=values):
            return condition and any_of(*values)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return condition and type(op) in ORDER and any_of(left, right)
        case ast.Call(func=ast.Name(id="where"), args=[_, *values]):
            return any_of(*values)
        case ast.Call(func=ast.Name(id=name), args=args):
            return name not in STOPS and any_of(*args)
        case _:
            return False


def _local(slot: Slot, keys: Set[str]) -> set[str]:
    """Local names of variables and constants."""
    names = {n for n, ref in slot.refs.items() if ref.variable in keys}
    return names | {n for n in slot.constants if slot.key(n) in keys}


def _outcome(program: Program, slot: Slot, keys: Set[str]) -> Iterator[str]:
    """Keys of what gets a gradient by `keys` when a slot is executed."""
    if isinstance(slot, Host):  # what is registered for tensors
        yield from slot.writes if slot.torch is not None and keys & set(slot.reads) else ()
        return
    local = _local(slot, keys)
    arrives = isinstance(slot, Deliver | Reset) and slot.event in keys
    for statement in slot.statements:
        kept = statement.target in local and statement.op not in ("=", ":=")
        condition = isinstance(slot, Threshold)
        if arrives or kept or _passes(statement.tree, local, condition):
            local.add(statement.target)
            yield from _set(program, slot, statement)


def _set(program: Program, slot: Slot, statement: Statement) -> Iterator[str]:
    """Keys of what the value of a statement ends up in."""
    ref = slot.refs.get(statement.target)
    if ref is not None and program.variables[ref.variable].kind != "integer":
        yield ref.variable
    if statement is slot.statements[-1]:
        match slot:
            case Threshold(event=event):
                yield event
            case Sum(target=target):
                yield target.variable
            case Value(name=name, owner=owner):
                yield f"{name} of {owner}"
            case _:
                pass
