"""History: what happened in each step of a training."""

import csv
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """A training step.

    Arguments:
        step: Its number.
        loss: Loss of the trial, before the update.
        gradient_norm: Norm of the gradient with respect to `model.parameters()`, before it was
            clipped; the largest, where a trial has several updates.
        learning_rates: Of each group of the optimiser.
        skipped: Whether an update was left out.
    """

    step: int
    loss: float
    gradient_norm: float
    learning_rates: tuple[float, ...]
    skipped: bool

    @property
    def numbers(self) -> dict[str, float]:
        """What can be drawn over steps, by name."""
        groups = ("", *(f"_{k}" for k in range(1, len(self.learning_rates))))
        rates = {f"learning_rate{k}": x for k, x in zip(groups, self.learning_rates, strict=True)}
        return {"loss": self.loss, "gradient_norm": self.gradient_norm, **rates}


class History(list[Row]):
    """Rows of a training, in order: a list with columns that can be read by name, and as CSV."""

    def column(self, name: str) -> list[Any]:
        """One entry of each row: "loss", "gradient_norm"."""
        return [getattr(row, name) for row in self]

    def to_csv(self, path: str | Path) -> None:
        """Write a table with a line for each step; numbers are exact."""
        names = list(self[0].numbers) if self else ["loss", "gradient_norm", "learning_rate"]
        with Path(path).open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["step", *names, "skipped"])
            for row in self:
                writer.writerow([row.step, *map(repr, row.numbers.values()), int(row.skipped)])
