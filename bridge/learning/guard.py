"""Guard: sees what goes wrong in a training, and says it once, with cause and remedy."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from statistics import median

from mirrorneuron._callers import callers_level
from mirrorneuron.errors import GradientError

from ..mirror import Mirror
from ..program import Threshold
from .result import Fit

PATIENCE = 3
OUTLIER = 1e6  # times the median of the norms before
RECENT = 20  # steps of that median: half of them like the new one, and it is no outlier any more
FEWEST = 5
RISE = 1e3  # times the distance from the best loss to the first one, or the best loss itself
ADVICE = (
    "Leave out the surrogate's width, so that it follows from the model, and write"
    " mn.mirror(..., reset_gradient='auto'); mn.check_gradient(model, task) says what a gradient"
    " is worth. A shorter trial or rule=mn.BPTT(window=...) makes it smaller."
)


AGAIN = (
    "Where the loss is not finite either, the second time in a row training goes on from the best"
    " parameters so far, and the third time it ends."
)


class TrainingWarning(UserWarning):
    """What goes wrong in a training and does not end it: see `Fit.warnings`."""


@dataclass
class Guard:
    """Judges steps by those before.

    Arguments:
        model: What is trained.
        done: What there is so far; causes are noted there.
        fading: Trials in a row, up to now, in which a group was silent or saturated.
    """

    model: Mirror
    done: Fit
    fading: dict[str, int] = field(default_factory=dict[str, int])

    def say(self, cause: str, message: str) -> None:
        """Warn, the first time that there is this cause."""
        if cause not in self.done.warnings:
            self.done.warnings[cause] = message
            warnings.warn(
                f"fit(model, ...): {message}", TrainingWarning, stacklevel=callers_level()
            )

    # ---- gradients

    def typical_norm(self) -> float:
        """Median norm of the last gradients; infinite while there are too few."""
        norms = (row.gradient_norm for row in self.done.history[-RECENT:])
        known = [x for x in norms if isfinite(x) and x > 0]
        return median(known) if len(known) >= FEWEST else inf

    def is_outlier(self, norm: float) -> bool:
        """Whether a gradient is far larger than those before."""
        return norm > OUTLIER * self.typical_norm()

    def say_outlier(self, step: int, norm: float) -> None:
        """Such a gradient was left out."""
        self.say(
            "gradient far above those before",
            f"the gradient of step {step} has a norm of {norm:.3g}, where those before had"
            f" {self.typical_norm():.3g} (median); the update was skipped, as one such step undoes"
            " the others, and the next ones like it will be, unless they become the rule"
            f" (Fit.skipped lists them). {ADVICE}",
        )

    def say_not_finite(self, step: int) -> None:
        """A gradient was left out that is NaN or infinite."""
        self.say(
            "gradient not finite",
            f"the gradient of step {step} is not finite; the update was skipped, and others like it"
            f" will be (Fit.skipped lists them). {AGAIN} {ADVICE}",
        )

    def say_unstable(self, error: str, step: int) -> None:
        """A trial could not be run."""
        self.say(
            "run not finite",
            f"the trial of step {step} could not be run to its end, so that its loss counts as NaN"
            f" and there was no update. {AGAIN} A smaller lr keeps parameters where the network"
            f" runs. What was found: {error}",
        )

    def say_overflow(self, what: str, norm: float, step: int) -> None:
        """An update was undone that left something not finite."""
        self.say(
            "overflow in the optimiser",
            f"the update of step {step}, by a gradient with a norm of {norm:.3g}, left {what} not"
            f" finite in {self.model.dtype}: the square of such a gradient is too large a number,"
            " and parameters would stand still or be lost. It was undone and skipped. Write"
            " clip=1.0, which takes any finite gradient; but one of this size is rarely right."
            f" {ADVICE}",
        )

    def see_unmoved(self, step: int, norm: float, rates: tuple[float, ...]) -> None:
        """Say that an update changed nothing, unless there is nothing left to learn.

        That is so where the gradient is a millionth of what it was, single ones apart.
        """
        before = sorted(x for x in self.done.history.column("gradient_norm") if isfinite(x))
        if before and norm < before[-2:][0] / OUTLIER:
            return
        self.say(
            "parameters do not move",
            f"in step {step} no parameter moved by a single bit, although the gradient is not zero"
            f" (norm {norm:.3g}) and neither is the learning rate ({_listed(rates)}): the"
            f" optimiser's step is smaller than what {self.model.dtype} can tell apart. Write a"
            " larger lr, torch.optim.Adam(model.parameters(), lr=1e-2), or"
            " mn.mirror(..., dtype=torch.float64).",
        )

    def give_up(self, step: int, cause: str) -> GradientError:
        """The error after too many updates were skipped in a row."""
        return GradientError(
            f"fit(model, ...): {cause} {PATIENCE} times in a row, up to step {step}. The last good"
            f" parameters were kept. {ADVICE}"
        )

    # ---- losses

    def is_lost(self, loss: float, skipped: bool) -> bool:
        """Whether to go back to the best parameters.

        A loss that is not finite may be that of a trial alone, as long as it led to no update and
        the next one is finite.
        """
        alone = not isfinite(loss) and skipped and self.done.failed < PATIENCE - 1
        return self.has_risen(loss) and not alone

    def has_risen(self, loss: float) -> bool:
        """Whether a loss is lost: not finite, or far above the best so far.

        Far is a thousand times as far as the first loss was, or as the best loss is from zero, so
        that neither noise around zero nor the units of the loss matter.
        """
        best = self.done.best
        if not isfinite(loss) or best is None:
            return not isfinite(loss)
        first = next(x for x in self.done.losses if isfinite(x))
        scale = max(abs(best.loss), first - best.loss)
        return scale > 0 and loss > best.loss + RISE * scale

    def say_lost(self, step: int, loss: float) -> None:
        """Training goes on from the best parameters, where there are some."""
        best = self.done.best
        went_back = (
            "there are no parameters to go back to"
            if best is None
            else f"the parameters went back to those of step {best.step} (loss {best.loss:.4g}),"
            " and the optimiser starts anew"
        )
        lost = "rose far above its best" if isfinite(loss) else "is not finite"
        self.say(
            f"loss {lost}",
            f"the loss of step {step}, {loss:.4g}, {lost}; {went_back}. Write a smaller lr,"
            " torch.optim.Adam(model.parameters(), lr=1e-3), or clip=1.0; if the loss is not"
            f" finite, check that it divides by nothing that may be zero. {ADVICE}",
        )

    def require_progress(self, step: int) -> None:
        """End a training whose loss is lost again and again without a better one between.

        Raises:
            GradientError: It was lost too often.
        """
        best = self.done.best
        since = -1 if best is None else best.step
        if sum(k > since for k in self.done.rolled_back) < PATIENCE:
            return
        where = "at the start" if best is None else f"after step {since} (loss {best.loss:.4g})"
        raise GradientError(
            f"fit(model, ...): {PATIENCE} times {where} the loss was not finite or rose far above"
            f" its best, last in step {step}, so that this training leads nowhere. The best"
            " parameters were kept. Write a smaller lr, torch.optim.Adam(model.parameters(),"
            f" lr=1e-3), or clip=1.0. {ADVICE}"
        )

    # ---- activity

    def see_rates(self, rates: Mapping[str, float], step: int) -> None:
        """Say when a group that should learn cannot: silent, or firing at every step.

        One trial may be silent by chance: it has to be so in three in a row, or from the start.
        """
        highest = 1 / self.model.program.dt
        compared = (s for s in self.model.program.slots_of(Threshold) if s.margin is not None)
        for name in dict.fromkeys(slot.owner for slot in compared):
            rate = rates.get(name, highest / 2)
            what = "is silent" if rate == 0 else "fires at almost every step"
            fades = rate == 0 or rate > 0.9 * highest
            self.fading[name] = self.fading.get(name, 0) + 1 if fades else 0
            first = step + 1 - self.fading[name]
            if fades and self.fading[name] >= min(PATIENCE, step + 1):
                when = f"step {step}" if first == step else f"steps {first} to {step}"
                self.say(
                    f"{name!r} {what}",
                    f"{name!r} {what} ({rate:g} Hz) in {when}, where gradients through spikes fade."
                    " Change its drive or weights, or widen the surrogate.",
                )


def _listed(rates: tuple[float, ...]) -> str:
    return ", ".join(f"{rate:g}" for rate in rates)
