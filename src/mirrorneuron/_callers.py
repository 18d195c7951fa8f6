"""The place where the user called us: its names, which equations may use, and its line."""

import inspect
from types import FrameType
from typing import Any

OURS = ("mirrorneuron", "jaxtyping", "beartype")
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>")


def callers_names() -> dict[str, Any]:
    """Global and local names of the innermost caller that is not part of mirrorneuron."""
    frame = inspect.currentframe()
    while frame and _is_ours(frame):
        frame = frame.f_back
    if frame is None:
        return {}
    own = dict(frame.f_locals)
    while frame.f_back and frame.f_code.co_name in COMPREHENSIONS:  # of Python 3.11
        frame = frame.f_back
        own = {**frame.f_locals, **own}
    return {**frame.f_globals, **own}


def callers_level() -> int:
    """The `stacklevel` with which a warning of the function that asks points to that caller."""
    frame, level = inspect.currentframe(), 0
    while frame and _is_ours(frame):
        frame, level = frame.f_back, level + 1
    return level


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith(OURS)
