"""Results of plain data that a resumed run reads again, as files of JSON."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mirrorneuron.errors import CheckpointError

from .file import whole

R = TypeVar("R", bound="Record")


@dataclass(frozen=True)
class Record:
    """Base of dataclasses whose fields are numbers, texts, and lists and mappings of these."""

    def save(self, path: Path) -> None:
        """Write a file, complete or not at all."""
        with whole(path) as file:
            file.write(json.dumps(self.__dict__, default=_plain))

    @classmethod
    def load(cls: type[R], path: Path) -> R:
        """Read what `save` wrote.

        Raises:
            CheckpointError: The file is damaged, or holds something else.
        """
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{path} holds no finished {cls.__name__} ({error}). Remove it, and it is computed"
                " again."
            ) from error


def _plain(value: Any) -> Any:
    """Sequences and mappings of other types as those that JSON has."""
    return dict(value) if hasattr(value, "keys") else list(value)
