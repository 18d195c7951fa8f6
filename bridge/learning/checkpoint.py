"""Checkpoints: a training that can be interrupted at any moment.

A file is written beside its place, synced and renamed; the one before is kept. It holds
tensors and numbers only and is read without running code.
"""

import hashlib
import os
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.optim import Optimizer

from mirrorneuron.bridge.mirror import Mirror
from mirrorneuron.errors import CheckpointError

if TYPE_CHECKING:
    from .fit import Fit

CONTENT = ("specification", "model", "optimizer", "rule", "done")
S = TypeVar("S", bound=tuple[Any, ...])


@dataclass(frozen=True)
class Checkpoint:
    """Latest two states of a training, in a folder.

    Arguments:
        folder: Made when needed.
        model, optimizer: What is saved and restored.
        damaged: Files that were found unreadable; they never take the place of a good one.
    """

    folder: Path
    model: Mirror
    optimizer: Optimizer
    damaged: set[Path] = field(default_factory=set[Path])

    @property
    def latest(self) -> Path:
        """The newest file."""
        return self.folder / "checkpoint.pt"

    @property
    def previous(self) -> Path:
        """The one before."""
        return self.folder / "previous.pt"

    def exists(self) -> bool:
        """Whether there is anything to go on from."""
        return self.latest.exists() or self.previous.exists()

    def save(self, rule: tuple[Any, ...], done: "Fit") -> None:
        """Write a checkpoint.

        Raises:
            CheckpointError: The folder cannot be written.
        """
        content = {
            "specification": self._specification(rule),
            "model": {key: held.exact() for key, held in self.model.trained.items()},
            "optimizer": self.optimizer.state_dict(),
            "rule": list(rule),
            "done": asdict(done),
        }
        new = self.folder / "checkpoint.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
            if self.latest.exists() and self.latest not in self.damaged:
                os.replace(self.latest, self.previous)
            os.replace(new, self.latest)
            self.damaged.clear()
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            raise CheckpointError(
                f"fit(checkpoint={str(self.folder)!r}): the checkpoint could not be written"
                f" ({error}). The one before is untouched. Free some space, or name another folder."
            ) from error

    def load(self, rule: S) -> "tuple[S, Fit]":
        """Restore model and optimiser; the newest readable file counts.

        Raises:
            CheckpointError: No file is readable, or it belongs to another model or rule.
        """
        from .fit import Fit

        content = self._read()
        if content["specification"] != self._specification(rule):
            raise CheckpointError(
                f"fit(checkpoint={str(self.folder)!r}): the checkpoint belongs to another network,"
                " to other parameters, to another optimiser or to another rule. Going on from it"
                " would mix the two."
                " Name another folder."
            )
        for key, held in self.model.trained.items():
            held.restore(content["model"][key])
        self.optimizer.load_state_dict(content["optimizer"])
        done = Fit(**content["done"])
        done.resumed = len(done.losses)
        return type(rule)(*content["rule"]), done

    def _read(self) -> dict[str, Any]:
        problems: list[str] = []
        for path in (self.latest, self.previous):
            if path.exists():
                try:
                    return _content(path)
                except Exception as error:
                    problems.append(f"{path.name}: {type(error).__name__}")
                    self.damaged.add(path)
                    warnings.warn(f"The checkpoint {path} is damaged.", UserWarning, stacklevel=2)
        raise CheckpointError(
            f"fit(checkpoint={str(self.folder)!r}): no checkpoint can be read"
            f" ({'; '.join(problems)}). The files are damaged. Remove the folder to start anew."
        )

    def _specification(self, rule: tuple[Any, ...]) -> str:
        groups = self.model.members
        limits = ",".join(f"{groups[key]} {limit}" for key, limit in self.model.limits.items())
        kinds = " ".join(type(x).__name__ for x in (self.optimizer, rule))
        return hashlib.sha256(
            f"{limits}\n{kinds} {self.model.dtype}\n{self.model.program}".encode()
        ).hexdigest()


def _content(path: Path) -> dict[str, Any]:
    """What a file holds; fails if it is not a whole checkpoint."""
    content = dict(torch.load(path, weights_only=True))
    return {key: content[key] for key in CONTENT}
