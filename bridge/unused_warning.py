"""Brian2's warning of objects that no network held: those that were mirrored are not among them.

A mirror leaves no mark on the objects, so that they can still be run in any network. Brian2 takes
an object without a mark for a forgotten one when it is deleted.
"""

import logging
from collections.abc import Iterable
from typing import Any

LOGGER = "brian2.core.base.unused_brian_object"


class _Mirrored(logging.Filter):
    """Drops the warning of objects made where mirrored ones were made."""

    def __init__(self) -> None:
        super().__init__()
        self.origins: set[tuple[str, str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the warning is of an object that was never mirrored."""
        text = record.getMessage()
        return not any(name in text and origin in text for name, origin in self.origins)


_mirrored = _Mirrored()
logging.getLogger(LOGGER).addFilter(_mirrored)


def note_mirrored(objects: Iterable[Any]) -> None:
    """Remember that these Brian2 objects were in a network."""
    for obj in objects:
        if origin := getattr(obj, "_creation_stack", ""):
            _mirrored.origins.add((f"'{obj.name}'", origin))
