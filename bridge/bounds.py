"""Bounds: what would take forever or all memory, refused before it is tried."""

import ast
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any

from mirrorneuron._memory import available_memory
from mirrorneuron.errors import DomainError, TooLarge

from .program import Program

LONGEST = 100_000  # characters of one text
STEP = 500  # bytes of the bookkeeping of a step, for each group that spikes
LISTED = 8  # bytes of the bookkeeping of a step and trial, for each group that spikes
MOST = 20  # values of each element that a step keeps for the gradient, at most
KEPT = 2  # values of each variable that a step keeps for the gradient, at least
OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Pow: lambda a, b: a**b,
}


def require_small(texts: Iterable[tuple[str, str]]) -> None:
    """Refuse constants such as 9**9**9**9, which Brian2 would evaluate digit by digit.

    Arguments:
        texts: Name of an object, and what is written in it: an expression or statements.

    Raises:
        DomainError: A constant is beyond every number, or a text is beyond reason.
    """
    for owner, text in texts:
        if len(text) > LONGEST:
            raise DomainError(
                f"mirror(net): {owner!r} has an equation of {len(text):,} characters, which Brian2"
                f" would take hours to read. The longest that is read has {LONGEST:,}. Write it as"
                " several equations."
            )
        try:
            tree = ast.parse(text.strip())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # which Brian2 says better
        for node in ast.walk(tree):
            if isinstance(node, ast.BinOp) and is_too_large(node):
                raise DomainError(
                    f"mirror(net): {owner!r} contains {ast.unparse(node)}, which is beyond the"
                    " largest number of double precision, 1.8e308, and which Brian2 would"
                    " evaluate digit by digit. Write a smaller number."
                )


def is_too_large(node: ast.BinOp) -> bool:
    """Whether a power of constants is beyond the largest number."""
    return isinstance(node.op, ast.Pow) and _size(node) == inf


def _size(node: ast.expr) -> float | None:
    """Value of a constant expression, infinity where it is too large; None if it varies."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return _real(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _size(operand)
            return None if value is None else -value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATIONS:
            a, b = _size(left), _size(right)
            if a is None or b is None:
                return None
            try:
                return _real(OPERATIONS[type(op)](a, b))
            except OverflowError:
                return inf
            except ZeroDivisionError:
                return None
        case _:
            return None


def _real(value: complex) -> float:
    try:
        return float(value) if not isinstance(value, complex) else 0.0
    except OverflowError:
        return inf


def require_delay_fits(name: str, steps: float, sources: int) -> None:
    """Refuse a delay for which Brian2, and a mirror, would remember more spikes than they can.

    Raises:
        TooLarge: It does not fit.
    """
    needed, present = 8 * steps * sources, available_memory()
    if needed > present:
        raise TooLarge(
            f"mirror(net): the pathway {name!r} has a delay of {steps:,.0f} steps, for which"
            f" {_size_of(needed)} of spikes would be under way, and {_size_of(present)} are free."
            " Write a shorter delay, with its unit: 2*ms."
        )


def needed_memory(
    program: Program, steps: int, batch: int, recorded: int, itemsize: int, gradient: bool
) -> float:
    """Memory that a run keeps at least [byte].

    Arguments:
        program: The network.
        steps, batch: Of the run.
        recorded: Number of recorded values of a trial and step.
        itemsize: Of a value [byte].
        gradient: Whether it keeps what the gradient needs.
    """
    groups = [program.groups[name].size for name in program.spiking()]
    moving = sum(program.variables[k].value.size for k in program.written() & {*program.variables})
    under_way = sum(path.max_delay * path.n_sources for path in program.pathways.values())
    each = sum(groups) + 2 * recorded + (KEPT * moving if gradient else 0)
    once = batch * itemsize * (moving + under_way)
    return once + steps * (batch * itemsize * each + STEP * max(len(groups), 1))


def require_memory(
    program: Program, steps: int, batch: int, recorded: int, itemsize: int, gradient: bool
) -> None:
    """Refuse a run that cannot fit: see `needed_memory`.

    Raises:
        TooLarge: It needs more than there is.
    """
    needed = needed_memory(program, steps, batch, recorded, itemsize, gradient)
    require_fits(needed, "at least", steps, batch, gradient)


def require_fits(needed: float, how: str, steps: int, batch: int, gradient: bool) -> None:
    """Refuse a run that cannot fit.

    Arguments:
        needed: Memory of the run [byte].
        how: How well it is known: "at least", "about".
        steps, batch: Of the run.
        gradient: Whether it keeps what the gradient needs.

    Raises:
        TooLarge: It needs more than there is.
    """
    present = available_memory()
    if needed <= present:
        return
    apart = " a training by rule=mn.BPTT(window=...);" if gradient else ""
    raise TooLarge(
        f"run(...): {steps:,} steps of {batch:,} trials need {how} {_size_of(needed)}, and"
        f" {_size_of(present)} are free. Write a smaller batch_size; record less, or of fewer"
        f" elements;{apart} or run in parts, each from the state of the one before,"
        " run(..., state=recording.state)."
    )


def least_memory(program: Program, steps: int, batch: int, recorded: int, itemsize: int) -> float:
    """Memory that a run needs at least, whatever engine makes it [byte].

    Arguments: see `needed_memory`.
    """
    moving = sum(program.variables[k].value.size for k in program.written() & {*program.variables})
    events = len([*program.spiking()])
    return batch * itemsize * moving + steps * batch * (itemsize * recorded + LISTED * events)


def may_be_large(program: Program, steps: int, batch: int, recorded: int, itemsize: int) -> bool:
    """Whether a run might not fit, if its engine keeps all that statements compute."""
    sizes = sum(variable.value.size for variable in program.variables.values())
    synapses = sum(len(path.source) for path in program.pathways.values())
    most = steps * batch * itemsize * MOST * (sizes + synapses + recorded)
    return most > available_memory()


def _size_of(count: float) -> str:
    """Bytes as people read them."""
    return f"{count / 1e9:,.3g} GB" if count < 1e15 else f"{count / 1e9:.1e} GB"
