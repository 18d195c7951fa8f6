"""A directory for each simulation, which no other one shares."""

import fcntl
import json
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mirrorneuron.errors import BuildError

MARK = "mirrorneuron-simulation.json"


@contextmanager
def directory_for(asked: str, named: str | Path | None) -> Generator[Path]:
    """The named directory, held for this simulation; or a temporary one, removed afterwards.

    Raises:
        BuildError: It holds files that no simulation made, is in use, or cannot be written.
    """
    if named is None:
        with tempfile.TemporaryDirectory(prefix="mirrorneuron-") as made:
            yield Path(made)
        return
    path = Path(named).expanduser().resolve()
    with _claim(asked, path).open("r+") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BuildError(
                f"{asked}: the directory {str(path)!r} is in use by another simulation. Two in one"
                " directory would overwrite each other. Name another one, or none."
            ) from None
        yield path


def _claim(asked: str, path: Path) -> Path:
    """Path of the mark by which a directory is known as ours, made if there is nothing in it."""
    mark = path / MARK
    try:
        path.mkdir(parents=True, exist_ok=True)
        if mark.exists():
            return mark
        if found := sorted(p.name for p in path.iterdir())[:3]:
            raise BuildError(
                f"{asked}: the directory {str(path)!r} is not empty and not of a simulation: it"
                f" holds {', '.join(map(repr, found))}. A build writes many files, and none of"
                " yours is overwritten. Name a new or an empty directory."
            )
        mark.write_text(json.dumps({"made by": "mirrorneuron.simulate"}) + "\n")
    except OSError as error:
        raise BuildError(
            f"{asked}: the directory {str(path)!r} cannot be used ({error}). A build needs one that"
            " it may write to. Name another one, or none for a temporary one."
        ) from error
    return mark
