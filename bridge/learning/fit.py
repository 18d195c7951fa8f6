"""fit: train a mirror, keep what was found, and say what goes wrong."""

import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mirrorneuron._arguments import checked
from mirrorneuron._progress import progress_bar
from mirrorneuron.errors import DomainError, GradientError

from ..mirror import Mirror
from ._contracts import Rule, Task
from .arguments import (
    callbacks,
    is_whole,
    require_clip,
    require_folder,
    require_seed,
    require_steps,
    says_stop,
)
from .board import Board
from .bptt import BPTT
from .checkpoint import Checkpoint
from .guard import Guard, TrainingWarning
from .history import Row
from .patience import Patience
from .result import Fit
from .schedule import MakeSchedule, advance, schedule_for
from .specification import specification
from .trainer import MakeOptimizer, Trainer, optimizer_for

__all__ = ["Fit", "TrainingWarning", "fit"]

Callback = Callable[[int, Mirror, Fit], bool | None]


@checked
def fit(
    model: Mirror | Any,
    task: Task | Any,
    rule: Rule[Any] | Any = None,
    optimizer: Optimizer | MakeOptimizer | Any = None,
    steps: int | Any = 100,
    checkpoint: str | Path | Any = None,
    every: int | Any = 10,
    clip: float | Any = None,
    report: Literal["text"] | None = "text",
    seed: int | Any = 0,
    callback: Callback | Sequence[Callback] | Any = None,
    schedule: LRScheduler | MakeSchedule | Any = None,
    patience: int | Any = None,
    min_delta: float | Any = 0.0,
    restore_best: bool = False,
    tensorboard: str | Path | Any = None,
) -> Fit:
    """Train `model` on `task`.

    What goes wrong is said once for each cause, by a `TrainingWarning`, and listed in
    `Fit.warnings`. An update is skipped where a gradient is not finite, or a million times as large
    as those before, or would leave the optimiser with numbers that are not finite. A loss that is
    lost takes the parameters back to the best ones. An error that ends a training has what there is
    so far as its attribute `.fit`.

    Arguments:
        model: Its parameters change.
        task: Trials and their loss.
        rule: How gradients are found, by default `BPTT()`.
        optimizer: An optimiser over `model.parameters()`, or a function that makes one from their
            list; they are of size one. By default `Adam(lr=1e-2)`, with steps of 1 % of each
            parameter. L-BFGS evaluates a trial as often as it needs within a step.
        steps: Training steps in all, those of a resumed training included.
        checkpoint: Folder for checkpoints and `history.csv`; where it holds one, training goes on
            from there and gives, bit for bit, what an uninterrupted one gives. Ctrl-C finishes the
            step and saves it.
        every: Steps between checkpoints.
        clip: Largest norm of the gradient with respect to `model.parameters()`, each of which is
            of size one; None does not clip.
        report: "text" shows progress.
        seed: Seed of all random numbers.
        callback: Called after each step with its number, the model and what there is so far; or
            several. Training ends when one returns True or raises StopIteration; another exception
            is raised after a checkpoint was saved.
        schedule: A scheduler of torch for the optimiser, or a function that makes one from it;
            goes on once in each step.
        patience: Training ends after as many steps without a smaller loss; None does not end it.
        min_delta: By how much a loss has to fall to count as smaller.
        restore_best: Whether the model has the best parameters at the end, those before the step
            with the smallest loss (a checkpoint has the last ones). Else it has the last ones, and
            `model.load_state_dict(fit.best.values)` gives it the best.
        tensorboard: Folder for TensorBoard.

    Returns:
        Losses, the best parameters, and what happened on the way.

    Raises:
        GradientError: The model has no parameters, or the loss does not depend on any; three
            updates in a row were skipped as something was not finite (the last good parameters are
            restored then); the loss was lost three times without a better one in between (the best
            ones are).
        CheckpointError: The folder holds a checkpoint of another training, or another one is under
            way there.
        DomainError: The rule changes parameters within a trial, and the optimiser is L-BFGS or the
            loss is not a sum over time; the optimiser holds none of the parameters; an argument is
            not what it has to be, or out of its domain.
        MissingDependency: TensorBoard is asked for and not installed.

    Example:
        >>> from torch.optim.lr_scheduler import CosineAnnealingLR
        >>> def schedule(optimizer):
        ...     return CosineAnnealingLR(optimizer, T_max=100)
        >>> # done = mn.fit(model, task, steps=100, schedule=schedule, restore_best=True)
        >>> # done.best.loss, done.stopped, done.history.to_csv("history.csv")
    """
    rule = rule if rule is not None else BPTT()
    _require_parts(model, task, rule)
    if not model.limits:
        raise GradientError(
            "fit(model, ...): the model has no parameters. Name what to train:"
            " mirror(net, train=['ee.w'])."
        )
    if not is_whole(every) or every < 1:
        raise DomainError(
            f"fit(every={every!r}): that is the number of steps between checkpoints, at least one."
            " Write, say, every=10."
        )
    require_steps("fit", steps)
    require_seed("fit", seed)
    require_clip(clip)
    require_folder("checkpoint", checkpoint)
    require_folder("tensorboard", tensorboard)
    made = optimizer_for(model, optimizer)
    plan = schedule_for(made, schedule)
    same = specification(model, rule, made, plan, clip, seed, task)
    folder = None if checkpoint is None else Path(checkpoint)
    store = None if folder is None else Checkpoint(folder, model, made, plan, same)
    with nullcontext() if store is None else store.alone():
        state, done = rule.init(model), Fit()
        if store is not None and store.exists():
            state, done = store.load(state)
        trainer = Trainer(model, made, clip, done, Guard(model, done))
        if store is not None:
            trainer.say_what_is_not_kept()
        trainer.require_fits(rule, task)
        training = _Training(
            task, rule, trainer, plan, store, every, seed, Patience(patience, min_delta),
            callbacks(callback), Board(tensorboard), state,
        )  # fmt: skip
        training.run(steps, progress=report is not None)
    if restore_best and done.best is not None:
        model.load_state_dict(dict(done.best.values))
    return done


def _require_parts(model: Any, task: Any, rule: Any) -> None:
    """Refuse what is no model, task or rule, as a class is none of its objects."""
    for argument, given, kind, instead in (
        ("model", model, Mirror, "model = mn.mirror(net, train=['ee.w'])"),
        ("task", task, Task, "task = mn.Task(100*ms, loss=lambda recording, trial: ...)"),
        ("rule", rule, Rule, "rule=mn.BPTT()"),
    ):
        if not isinstance(given, kind):
            shown = repr(given) if isinstance(given, str | type) else f"a {type(given).__name__}"
            raise DomainError(
                f"fit({argument}=...): given is {shown}, which is no {kind.__name__}. Write"
                f" {instead}."
            )


@dataclass
class _Training:
    """A training that is under way.

    Arguments:
        task, rule, every, seed: As in `fit`.
        trainer: Takes the steps.
        schedule: Of the learning rates, or None.
        store: Where checkpoints go, or None.
        patience: Ends it.
        callbacks: Called after each step.
        board: For TensorBoard.
        state: Of the rule.
        saved: Steps that the last checkpoint holds.
    """

    task: Task
    rule: Rule[Any]
    trainer: Trainer
    schedule: Any
    store: Checkpoint | None
    every: int
    seed: int
    patience: Patience
    callbacks: tuple[Callback, ...]
    board: Board
    state: Any
    saved: int = 0

    def __post_init__(self) -> None:
        self.done = self.trainer.done
        self.saved = self.done.resumed
        self.patience.see(self.done.losses)

    def run(self, steps: int, progress: bool) -> None:
        """Take the steps that are left."""
        bar = progress_bar(range(len(self.done.history), steps), shown=progress, desc="fit")
        try:
            with _interrupts() as interrupts:
                self._steps(bar, interrupts)
        except BaseException as error:
            self._hand_over(error)
            raise
        finally:
            bar.close()
            self.board.close()
        self._save()

    def _steps(self, bar: Any, interrupts: list[int]) -> None:
        for k in bar:
            if self.patience.exhausted:
                self.done.stopped = "patience"
                return
            row = self._step(k)
            bar.set_postfix(loss=f"{row.loss:.4g}", refresh=False)
            if (k + 1) % self.every == 0:
                self._save()
            self.done.stopped = self._after(k, interrupts)
            if interrupts:
                self._save()
                raise KeyboardInterrupt
            if self.done.stopped:
                return
        self.done.stopped = "patience" if self.patience.exhausted else "steps"

    def _step(self, k: int) -> Row:
        """One step, and what is to be noted of it."""
        trainer, done = self.trainer, self.done
        rates, trial = trainer.rates, self.task.trial_at(k)
        outcome, self.state = trainer.step(
            k, self.rule, self.state, self.task, trial, _seed(self.seed, k)
        )
        row = Row(k, outcome.loss, trainer.norm, rates, k in done.skipped)
        done.history.append(row)
        done.keep_best(k, outcome.loss, trainer.values)
        self.patience.see([outcome.loss])
        if trainer.guard.is_lost(outcome.loss, row.skipped):
            self._go_back(row)
        trainer.guard.see_rates(outcome.rates, k)
        if self.schedule is not None:
            advance(self.schedule, outcome.loss)
        self.board.write(row)
        return row

    def _go_back(self, row: Row) -> None:
        """Go on from the best parameters."""
        trainer, done = self.trainer, self.done
        trainer.go_back_to_best()
        done.rolled_back.append(row.step)
        if isfinite(row.loss) or not row.skipped:
            trainer.guard.say_lost(row.step, row.loss)
        trainer.guard.require_progress(row.step)
        self.state = self.rule.init(trainer.model)

    def _after(self, k: int, interrupts: list[int]) -> str:
        """Call back; why training ends, if it does."""
        try:
            wishes = [call(k, self.trainer.model, self.done) for call in self.callbacks]
        except StopIteration:
            return "callback"
        except KeyboardInterrupt:
            if interrupts:  # a second Ctrl-C
                raise
            return "interrupted"
        except Exception:
            self._save()
            raise
        return "callback" if any(map(says_stop, wishes)) else ""

    def _save(self) -> None:
        """Write a checkpoint, if there is anything new."""
        if self.store is not None and self.saved != len(self.done.history):
            self.store.save(self.state, self.done)
            self.saved = len(self.done.history)

    def _hand_over(self, error: BaseException) -> None:
        """Give an error what there is so far."""
        if isinstance(error, KeyboardInterrupt):
            self.done.stopped = "interrupted"
        with suppress(AttributeError):  # an exception of a user's may have no room for it
            error.fit = self.done  # pyright: ignore[reportAttributeAccessIssue]
            error.add_note(
                f"fit(model, ...) had taken {len(self.done.history)} steps: this error's .fit has"
                " their losses, the best parameters, and what was said."
            )


@contextmanager
def _interrupts() -> Generator[list[int]]:
    """Collect Ctrl-C, so that a step is finished and saved; a second one ends at once."""
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])
