"""Checkpoints: a training that can be interrupted at any moment.

A file is written beside its place, synced and renamed; the one before is kept. It holds
tensors, text and numbers only and is read without running code.
"""

import fcntl
import os
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numpy as np
import torch
from torch.optim import Optimizer

from mirrorneuron._callers import callers_level
from mirrorneuron.errors import CheckpointError

from ..mirror import Mirror
from .result import Fit
from .specification import differences

CONTENT = ("specification", "model", "optimizer", "schedule", "rule", "done")
S = TypeVar("S", bound=tuple[Any, ...])


@dataclass(frozen=True)
class Checkpoint:
    """Latest two states of a training, in a folder, and its history as a table.

    Arguments:
        folder: Made when needed.
        model, optimizer, schedule: What is saved and restored; the last one may be None.
        specification: What makes the training the same: see `specification`.
        damaged: Files that were found unreadable; they never take the place of a good one.
    """

    folder: Path
    model: Mirror
    optimizer: Optimizer
    schedule: Any
    specification: Mapping[str, str]
    damaged: set[Path] = field(default_factory=set[Path])

    @property
    def latest(self) -> Path:
        """The newest file."""
        return self.folder / "checkpoint.pt"

    @property
    def previous(self) -> Path:
        """The one before."""
        return self.folder / "previous.pt"

    @contextmanager
    def alone(self) -> Generator[None]:
        """Keep other trainings out of the folder, in this process or another one on this machine.

        Raises:
            CheckpointError: One is there, or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = _locked(self.folder / "lock")
        except BlockingIOError as error:
            raise CheckpointError(
                f"fit(checkpoint={str(self.folder)!r}): another training is under way there. Two in"
                " one folder would go on from each other's checkpoints. Wait for it, or name"
                " another folder."
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error
        with file:  # which also takes the lock away, as does the end of the process
            for left in self.folder.glob("checkpoint-*.tmp"):
                left.unlink()
            try:
                yield
            finally:
                (self.folder / "lock").unlink()

    def exists(self) -> bool:
        """Whether there is anything to go on from."""
        return self.latest.exists() or self.previous.exists()

    def save(self, rule: tuple[Any, ...], done: Fit) -> None:
        """Write a checkpoint.

        Raises:
            CheckpointError: The folder cannot be written.
        """
        new = self.folder / f"checkpoint-{os.getpid()}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                torch.save(self._present(rule, done), file)
                file.flush()
                os.fsync(file.fileno())
            if self.latest.exists() and self.latest not in self.damaged:
                os.replace(self.latest, self.previous)
            os.replace(new, self.latest)
            self.damaged.clear()
            done.history.to_csv(self.folder / "history.csv")
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> CheckpointError:
        return CheckpointError(
            f"fit(checkpoint={str(self.folder)!r}): the checkpoint could not be written"
            f" ({error}). The one before is untouched. Free some space, or name another folder."
        )

    def load(self, rule: S) -> tuple[S, Fit]:
        """Restore model, optimiser and schedule; the newest readable file counts.

        Raises:
            CheckpointError: No file is readable, or it belongs to another training.
        """
        problems: list[str] = []
        present = deepcopy(self._present(rule, Fit()))
        for path in (self.latest, self.previous):
            if path.exists():
                try:
                    content = _content(path)
                    self._require_same(content["specification"])
                    return self._restore(content, rule)
                except CheckpointError:
                    raise
                except Exception as error:
                    self._restore(present, rule)
                    problems.append(f"{path.name}: {type(error).__name__}")
                    self.damaged.add(path)
                    message = f"The checkpoint {path} is damaged."
                    warnings.warn(message, UserWarning, stacklevel=callers_level())
        raise CheckpointError(
            f"fit(checkpoint={str(self.folder)!r}): no checkpoint can be read"
            f" ({'; '.join(problems)}). The files are damaged, or of another version. Remove the"
            " folder to start anew, or name another one."
        )

    def _present(self, rule: tuple[Any, ...], done: Fit) -> dict[str, Any]:
        """What a file holds."""
        return {
            "specification": dict(self.specification),
            "model": {key: held.exact() for key, held in self.model.trained.items()},
            "optimizer": _plain(self.optimizer.state_dict()),
            "schedule": None if self.schedule is None else _plain(self.schedule.state_dict()),
            "rule": list(rule),
            "done": done.content(),
        }

    def _restore(self, content: Mapping[str, Any], rule: S) -> tuple[S, Fit]:
        """Take everything from what a file holds."""
        done, state = Fit.of(content["done"]), type(rule)(*content["rule"])
        exact = {key: content["model"][key] for key in self.model.trained}
        for key, held in self.model.trained.items():
            if exact[key][0].shape != held.raw.shape:
                raise ValueError(f"{key} has another shape")
            held.restore(exact[key])
        self.optimizer.load_state_dict(content["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(content["schedule"])
        return state, done

    def _require_same(self, kept: Mapping[str, str]) -> None:
        """Refuse a checkpoint of another training.

        Raises:
            CheckpointError: A setting differs.
        """
        differ = differences(dict(kept), self.specification)
        if differ:
            raise CheckpointError(
                f"fit(checkpoint={str(self.folder)!r}): the checkpoint belongs to another training,"
                f" which differs in {'; '.join(differ)}. Going on from it would mix the two. Write"
                " the settings that are there, or name another folder."
            )


def _locked(path: Path) -> IO[bytes]:
    """A file that nobody else has locked, locked.

    Raises:
        BlockingIOError: Somebody has.
    """
    while True:
        file = path.open("wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            file.close()
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # it was removed between the two calls


def _plain(value: Any) -> Any:
    """The same with numbers of numpy's as Python's: files with others are not read again."""
    match value:
        case np.generic():
            return value.item()
        case dict():
            return {k: _plain(v) for k, v in cast(dict[Any, Any], value).items()}
        case list():
            return [_plain(v) for v in cast(list[Any], value)]
        case tuple() if type(value) is tuple:  # pyright: ignore[reportUnknownArgumentType]
            return tuple(_plain(v) for v in cast(tuple[Any, ...], value))
        case _:
            return value


def _content(path: Path) -> dict[str, Any]:
    """What a file holds; fails if it is not a whole checkpoint."""
    content = dict(torch.load(path, weights_only=True))
    return {key: content[key] for key in CONTENT}
