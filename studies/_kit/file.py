"""Files that are complete or absent, and results that a resumed run does not compute again."""

import csv
import os
import shutil
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar, runtime_checkable

from mirrorneuron.errors import CheckpointError


@runtime_checkable
class Saved(Protocol):
    """Something that can be written to a file."""

    def save(self, path: Path) -> object:
        """Write it."""


S = TypeVar("S", bound=Saved)


@contextmanager
def whole(path: Path, mode: str = "w", newline: str | None = None) -> Generator[IO[Any]]:
    """Open a file for writing that replaces `path` once it is complete and on disk."""
    new = path.with_name(path.name + ".tmp")
    with new.open(mode, newline=newline) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write a table, the names of its columns first."""
    with whole(path, newline="") as file:
        csv.writer(file).writerows(rows)


def working_folder(folder: Path, resume: bool) -> Path:
    """A folder for intermediate results, emptied unless an interrupted run is resumed."""
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    return folder


def cached(
    path: Path, make: Callable[[], S], load: Callable[[Path], S], settings: str | None = None
) -> S:
    """A result read from its file if that exists, or else computed and saved.

    Arguments:
        path: The file.
        make: Computes the result.
        load: Reads the file.
        settings: Text that is kept beside the file. With other settings, or where the file is
            damaged, the result is computed again.

    Raises:
        CheckpointError: The file is damaged, and no settings were given.
    """
    told = path.with_suffix(".txt")
    if settings is None:
        if not path.exists():
            make().save(path)
        return load(path)
    if told.exists() and told.read_text() == settings:
        try:
            return load(path)
        except CheckpointError:
            told.unlink()
    made = make()
    told.unlink(missing_ok=True)
    made.save(path)
    told.write_text(settings)
    return made
