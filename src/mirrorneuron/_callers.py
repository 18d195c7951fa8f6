"""Names that a user's equations may use: those where the user called us."""

import inspect
from typing import Any

OURS = ("mirrorneuron", "jaxtyping", "beartype")


def callers_names() -> dict[str, Any]:
    """Global and local names of the innermost caller that is not part of mirrorneuron."""
    frame = inspect.currentframe()
    while frame and str(frame.f_globals.get("__name__", "")).startswith(OURS):
        frame = frame.f_back
    return {**frame.f_globals, **frame.f_locals} if frame else {}
