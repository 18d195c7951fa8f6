"""Board: a training as TensorBoard shows it."""

from pathlib import Path
from typing import Any

from mirrorneuron.errors import MissingDependency

from .history import Row


class Board:
    """Writes the numbers of each step for TensorBoard, or nothing.

    Arguments:
        folder: Where to; None writes nothing.

    Raises:
        MissingDependency: TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path | None) -> None:
        self.writer: Any = None
        if folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                asked = f"fit(tensorboard={str(folder)!r})"
                raise MissingDependency(asked, "tensorboard", "tensorboard") from error
            self.writer = SummaryWriter(str(folder))

    def write(self, row: Row) -> None:
        """Add a step."""
        if self.writer is not None:
            for name, value in row.numbers.items():
                self.writer.add_scalar(name, value, row.step)

    def close(self) -> None:
        """Write what is left."""
        if self.writer is not None:
            self.writer.close()
