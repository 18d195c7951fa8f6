"""Result: what a training found, and what went wrong on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

from torch import Tensor

from mirrorneuron._arguments import Index, checked

from .history import History, Row


class Best(NamedTuple):
    """The parameters with the smallest loss so far.

    Arguments:
        step: Step that evaluated the loss, before its update.
        loss: The loss. Where trials differ, it is that of one trial.
        values: The parameters in SI units, for `model.load_state_dict(fit.best.values)`.
    """

    step: int
    loss: float
    values: Mapping[str, Tensor]


@checked
@dataclass
class Fit:
    """What a training gave.

    Arguments:
        history: Step, loss, norm of the gradient, learning rates, for each step;
            `history.to_csv(path)` writes it.
        best: The parameters with the smallest loss; None before a loss was finite.
        skipped: Steps of which an update was skipped.
        rolled_back: Steps after which training went on from the best parameters.
        failed: Updates skipped in a row, up to now, as something was not finite.
        warnings: What went wrong, cause to what was said when it was first seen.
        stopped: Why training ended: "steps", "patience", "callback" or "interrupted"; empty while
            it runs, and after an error.
        resumed: Step at which training went on from a checkpoint, 0 if it did not.
        evaluations: Gradients computed.
    """

    history: History = field(default_factory=History)
    best: Best | None = None
    skipped: list[int] = field(default_factory=list[int])
    rolled_back: list[int] = field(default_factory=list[int])
    failed: Index = 0
    warnings: dict[str, str] = field(default_factory=dict[str, str])
    stopped: str = ""
    resumed: Index = 0
    evaluations: Index = 0

    def __str__(self) -> str:
        if not self.history:
            return "Fit without a step."
        first, last = self.losses[0], self.losses[-1]
        ended = f", ended by {self.stopped}" if self.stopped not in ("", "steps") else ""
        head = f"Fit of {len(self.history)} steps{ended}"
        lines = [f"{head}: loss {first:.4g} at first, {last:.4g} at last."]
        if self.best is not None:
            lines.append(f"Smallest loss {self.best.loss:.4g}, in step {self.best.step}, with")
            values = ((key, x.detach().cpu().double()) for key, x in self.best.values.items())
            lines += [f"    {key} = {_shown(x)}" for key, x in values]
        lines += [f"Warning: {text}" for text in self.warnings.values()]
        return "\n".join(lines)

    @property
    def losses(self) -> list[float]:
        """Loss of each step."""
        return [row.loss for row in self.history]

    @checked
    def keep_best(self, step: Index, loss: float, values: Mapping[str, Tensor]) -> None:
        """Take parameters for the best ones, if they are."""
        if isfinite(loss) and (self.best is None or loss < self.best.loss):
            self.best = Best(step, loss, values)

    @checked
    def content(self) -> dict[str, Any]:
        """As plain lists, numbers and tensors."""
        rows = [[*row[:3], list(row.learning_rates), row.skipped] for row in self.history]
        best = None if self.best is None else [*self.best[:2], dict(self.best.values)]
        return {
            "history": rows,
            "best": best,
            "skipped": list(self.skipped),
            "rolled_back": list(self.rolled_back),
            "failed": self.failed,
            "warnings": dict(self.warnings),
            "evaluations": self.evaluations,
        }

    @staticmethod
    def of(content: Mapping[str, Any]) -> "Fit":
        """A training that goes on from what `content` gave."""
        rows = (Row(k, x, norm, tuple(r), skip) for k, x, norm, r, skip in content["history"])
        history, best = History(rows), content["best"]
        return Fit(
            history=history,
            best=None if best is None else Best(*best),
            skipped=list(content["skipped"]),
            rolled_back=list(content["rolled_back"]),
            failed=content["failed"],
            warnings=dict(content["warnings"]),
            resumed=len(history),
            evaluations=content["evaluations"],
        )


def _shown(x: Tensor) -> str:
    """A value in SI units, or the span of several."""
    if x.numel() == 1:
        return f"{x.item():.4g}"
    return f"{x.min().item():.4g} to {x.max().item():.4g} ({x.numel():,} values)"
