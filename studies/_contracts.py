"""What a study is: a paper or an application, with settings and numbers that can be checked."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from mirrorneuron.errors import DataError

from ._kit.result import Metric, Result

__all__ = ["Metric", "Result", "Study"]


@dataclass(frozen=True)
class Study(ABC):
    """A study with its settings: fields with defaults, which are the full settings.

    Arguments:
        title: One line for lists.
        seed: Seed of all random numbers.
    """

    title: ClassVar[str]
    seed: int = field(default=0, kw_only=True)

    @abstractmethod
    def quick(self) -> "Study":
        """The same study with settings that take about a minute."""

    @abstractmethod
    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Run the study, and write its figures and its report into `out`.

        Arguments:
            out: Folder of the results, which exists.
            progress: Whether to show progress.
            resume: Whether to continue from what an interrupted run left in `out`.
        """

    def with_data(self, path: Path) -> "Study":
        """The same study with recordings of your own, where it takes some.

        Arguments:
            path: Their file or folder, in the layout that the study documents.

        Raises:
            DataError: They are missing or of another layout, or the study takes none.
        """
        raise DataError(
            f"--data {path}: {self.title!r} takes no recordings: what it needs is generated, or"
            " comes with a package. Write the command without --data."
        )

    def with_(self, **settings: Any) -> "Study":
        """The same study with other settings."""
        return replace(self, **settings)
