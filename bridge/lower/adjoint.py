"""Adjoint: the operations of a slot in reverse, as data.

Forward, an operation gives a name a value. Backward, the derivative of the loss by that value (its
adjoint) is passed on to the names in the expression, each times a factor, in the reverse order of
the operations. What an engine does with each kind:

* `Define`: every pull adds `adjoint(name) * factor` to the adjoint of its source.
* `Assign`: the same where the guard holds; elsewhere the adjoint goes to the value `before`.
* `Keep`: the same where a spike arrives. All statements of a synapse are executed as if one had
  come; it gets the adjoint of what is stored in the end, times what they change: see `aged`.
* `Accumulate`: the adjoint is read at the element that each synapse reaches and stays there; pulls
  count where a spike arrives. Every spike, present or not, gets the adjoint times the value.
* `Scale`: as a `Keep` for each synapse in turn, of `before * value`.
* `Overwrite`: as a `Keep` of the last synapse that is served.

The adjoint of what is evaluated once, for all elements, is the sum of theirs.

Every value has a name of its own here (`v`, then `v@1` after the first assignment, `v@2` after the
second), so that factors mean the values of the time at which they were computed.
"""

import ast
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace

from .condition import All, Condition, Either, Not
from .derivative import ONE, derivative, gradient
from .expression import substitute
from .step import Operation, Write


@dataclass(frozen=True)
class Pull:
    """What passes from the value of an operation to a name in its expression.

    Arguments:
        source: The name.
        factor: By what the adjoint is multiplied on the way.
    """

    source: str
    factor: ast.expr


@dataclass(frozen=True)
class Reverse:
    """An operation, backward.

    Arguments:
        operation: The operation, with a name of its own for each value.
        before: Name of what the variable was before; None for a local name.
        pulls: What passes to the names in the expression.
    """

    operation: Operation
    before: str | None
    pulls: tuple[Pull, ...]


def single_assignment(operations: Iterable[Operation]) -> Iterator[tuple[Operation, str | None]]:
    """Operations with a name of its own for each value, and the name of the value before."""
    now: dict[str, str] = {}
    counts: dict[str, int] = {}
    for operation in operations:
        name = operation.name
        known = {old: ast.Name(new, ast.Load()) for old, new in now.items()}
        tree = substitute(operation.tree, known)
        writes = isinstance(operation, Write)
        before = now.get(name, name) if writes else None
        counts[name] = counts.get(name, 0) + 1
        fresh = not writes and counts[name] == 1
        now[name] = name if fresh else f"{name}@{counts[name] - (not writes)}"
        changed = replace(operation, name=now[name], tree=tree)
        if isinstance(changed, Write) and changed.guard:
            guard = changed.guard
            changed = replace(changed, guard=_current(now, guard, name, before))
        yield changed, before


def _current(now: dict[str, str], guard: str, written: str, before: str | None) -> str:
    """Name of a guard's present value, also where it guards itself."""
    return before or guard if guard == written else now.get(guard, guard)


def adjoint(operations: Iterable[Operation], active: Set[str]) -> tuple[Reverse, ...]:
    """Operations in reverse.

    Arguments:
        operations: What a slot does, in order.
        active: Names that have a gradient when the slot starts. Local names and variables that
            depend on them have one too.

    Raises:
        GradientError: The gradient has to pass through a function whose derivative is not known.
    """
    found: list[Reverse] = []
    carrying = set(active)
    for operation, before in single_assignment(operations):
        factors = gradient(operation.tree, carrying)
        pulls = tuple(Pull(source, factor) for source, factor in factors.items())
        if pulls or before in carrying:
            carrying.add(operation.name)
            found.append(Reverse(operation, before, pulls))
    return tuple(reversed(found))


def spike_value(condition: Condition) -> tuple[ast.expr, tuple[Condition, ...]]:
    """A spike as arithmetic of the parts of its condition, and the parts, `_0`, `_1`, ...

    Each part is 0 or 1: a conjunction is their product, a negation one minus it. So the factor
    by which a part's derivative counts is a derivative too: see `spike_factors`.
    """
    parts: list[Condition] = []

    def value(node: Condition) -> ast.expr:
        match node:
            case All(inner):
                return _product([value(part) for part in inner])
            case Either(inner):
                return _complement(_product([_complement(value(part)) for part in inner]))
            case Not(part):
                return _complement(value(part))
            case _:
                parts.append(node)
                return ast.Name(f"_{len(parts) - 1}", ast.Load())

    return value(condition), tuple(parts)


def spike_factors(condition: Condition) -> tuple[ast.expr, ...]:
    """By what the derivative of each part of a condition counts in that of the spike."""
    tree, parts = spike_value(condition)
    return tuple(derivative(tree, f"_{k}") for k in range(len(parts)))


def _product(trees: list[ast.expr]) -> ast.expr:
    made = trees[0]
    for tree in trees[1:]:
        made = ast.BinOp(made, ast.Mult(), tree)
    return made


def _complement(tree: ast.expr) -> ast.expr:
    return ast.BinOp(ONE, ast.Sub(), tree)
