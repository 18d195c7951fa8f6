"""margin: the distance to threshold of a group, as a value that can be recorded."""

import ast
from dataclasses import replace

from ..program import Statement, Threshold, Value, statements_of
from .condition import All, Margin, Truth, condition_of
from .expression import names
from .functions import RANDOM

MARGIN = ".margin"


def is_margin(key: str) -> bool:
    """Whether a recorded value is a distance to threshold: no name of Brian2's has two dots."""
    return key.count(".") == 2 and key.endswith(MARGIN)


def margin(threshold: Threshold) -> Value | None:
    """What a threshold compares: left minus right of `>`, minus infinity where no spike is allowed.

    Arguments:
        threshold: Slot of a threshold.

    Returns:
        A value taken just before the threshold is tested; None unless the condition is one
        comparison, alone or joined to truth values by `and`.
    """
    before, whole = condition_of(threshold)
    parts = whole.parts if isinstance(whole, All) else (whole,)
    compared = [part for part in parts if isinstance(part, Margin)]
    truths = [part.tree for part in parts if isinstance(part, Truth)]
    if len(compared) != 1 or len(truths) + 1 != len(parts):
        return None
    (found,) = compared
    if any(RANDOM & set(names(tree)) for tree in (found.tree, *truths)):
        return None
    text = ast.unparse(found.tree)
    if truths:
        text = f"where({' and '.join(f'({ast.unparse(tree)})' for tree in truths)}, {text}, -inf)"
    value = Statement("_margin", ":=", text, "float", False)
    code = statements_of(replace(threshold, scalar=(), vector=(*before, value)))
    return Value(**code, unit=threshold.margin)
