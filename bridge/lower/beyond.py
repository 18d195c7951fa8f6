"""Beyond: what of a Program an engine has to know that only executes statements on real numbers.

A backend that does not refuse these would leave them out, or compute them otherwise, in silence:
its `covers` yields what is found here, or the backend serves it.
"""

from collections.abc import Iterator

from ..program import Host, Program, Slot
from .expression import names
from .kinds import kinds_of, with_kinds
from .step import operations

TYPED = {"either_of", "both_of", "whole_product", "whole_power", "whole_ratio", "whole_rest"}


def beyond_statements(program: Program) -> Iterator[str]:
    """What is more than statements on real numbers, a sentence each."""
    for slot in program.slots:
        if isinstance(slot, Host):
            yield f"{slot.name}: Python of the user's runs between steps, {slot.title}."
        yield from _typed(program, slot)
    for event in sorted({path.event for path in program.pathways.values()} | {*program.raised}):
        if not program.is_tested(event):
            yield f"{event}: nothing tests it, and those who raised it last go on in each step."


def _typed(program: Program, slot: Slot) -> Iterator[str]:
    """Statements in which numpy's types decide: sums of truth values, products that wrap."""
    known = kinds_of(program, slot)
    for statement, operation in zip(slot.statements, operations(program, slot), strict=True):
        if TYPED & set(names(with_kinds(operation.tree, known))):
            yield f"{slot.name}: numpy's types decide on the result of '{statement}'."
