"""Progress: a bar where somebody watches, a line now and then in a log."""

import sys
import warnings
from typing import Any

with warnings.catch_warnings():  # a notebook without ipywidgets has the bar as text
    warnings.filterwarnings("ignore", message="IProgress not found")
    from tqdm.auto import tqdm

LOG_INTERVAL = 30.0


def progress_bar(iterable: Any = None, *, shown: bool, **how: Any) -> Any:
    """A bar on stderr: many times a second on a terminal or in a notebook, else every 30 s.

    Arguments:
        iterable: What is gone through, if anything.
        shown: Whether to show it.
        **how: What tqdm takes.
    """
    if not _is_watched():
        how = {"mininterval": LOG_INTERVAL, "delay": LOG_INTERVAL, "ascii": True} | how
    return tqdm(iterable, disable=not shown, **how)


def say(text: str) -> None:
    """One line on stderr, that leaves a bar as it is."""
    tqdm.write(text, file=sys.stderr)


def _is_watched() -> bool:
    """Whether a bar is redrawn in place, and does not fill a file."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
