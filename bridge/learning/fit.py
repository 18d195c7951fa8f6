"""fit: train a mirror, with progress, checkpoints and a guard against lost gradients."""

import signal
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from tqdm.auto import tqdm

from mirrorneuron.bridge.mirror import Mirror
from mirrorneuron.errors import DomainError, GradientError, NumericalError

from ._contracts import Outcome, Rule, Task, Trial
from .bptt import BPTT
from .checkpoint import Checkpoint

PATIENCE = 3
MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]


class TrainingWarning(UserWarning):
    """The network is silent or saturated, or an update was skipped."""


@dataclass
class Fit:
    """What a training gave.

    Arguments:
        losses: Loss of each step.
        skipped: Steps whose update was skipped because a gradient was not finite.
        resumed: Step at which training went on from a checkpoint, 0 if it did not.
        evaluations: Gradients computed.
    """

    losses: list[float] = field(default_factory=list[float])
    skipped: list[int] = field(default_factory=list[int])
    resumed: int = 0
    evaluations: int = 0


def fit(
    model: Mirror,
    task: Task,
    rule: Rule[Any] | None = None,
    optimizer: Optimizer | MakeOptimizer | None = None,
    steps: int = 100,
    checkpoint: str | Path | None = None,
    every: int = 10,
    clip: float | None = None,
    report: Literal["text"] | None = "text",
    seed: int = 0,
    callback: Callable[[int, Mirror, Fit], None] | None = None,
) -> Fit:
    """Train `model` on `task`.

    Arguments:
        model: Its parameters change.
        task: Trials and their loss.
        rule: How gradients are found, by default `BPTT()`.
        optimizer: An optimiser over `model.parameters()`, or a function that makes one from their
            list; they are of size one. By default `Adam(lr=1e-2)`, with steps of 1 % of each
            parameter. L-BFGS evaluates a trial as often as it needs within a step.
        steps: Training steps in all, those of a resumed training included.
        checkpoint: Folder for checkpoints; where it holds one, training goes on from there and
            gives, bit for bit, what an uninterrupted one gives. Ctrl-C finishes the step and
            saves it.
        every: Steps between checkpoints.
        clip: Largest norm of the gradient with respect to `model.parameters()`, each of which is
            of size one; None does not clip.
        report: "text" shows progress.
        seed: Seed of all random numbers.
        callback: Called after each step with its number, the model and what there is so far.

    Returns:
        Losses, and what happened on the way.

    Raises:
        GradientError: The model has no parameters, or the gradient was not finite three times
            in a row; the last good parameters are restored then.
        CheckpointError: The folder holds a checkpoint of another model or rule.
        DomainError: The rule changes parameters within a trial, and the optimiser is L-BFGS.
    """
    if not model.limits:
        raise GradientError(
            "fit(model, ...): the model has no parameters. Name what to train:"
            " mirror(net, train=['ee.w'])."
        )
    rule = rule if rule is not None else BPTT()
    made = _optimizer(model, optimizer)
    store = Checkpoint(Path(checkpoint), model, made) if checkpoint is not None else None
    state, done = rule.init(model), Fit()
    if store is not None and store.exists():
        state, done = store.load(state)
    trainer = _Trainer(model, made, clip, done)
    trainer.require_fits(rule)
    progress = tqdm(range(len(done.losses), steps), disable=report is None, desc="fit")
    with _interrupts() as interrupts:
        for k in progress:
            trial = task.trial(k)
            outcome, state = trainer.step(k, rule, state, task, trial, _seed(seed, k))
            done.losses.append(outcome.loss)
            _warn_of_rates(model, outcome.rates, k)
            progress.set_postfix(loss=f"{outcome.loss:.4g}")
            due = (k + 1) % every == 0 or k == steps - 1
            if store is not None and due:
                store.save(state, done)
            if callback is not None:
                callback(k, model, done)
            if interrupts:
                if store is not None and not due:
                    store.save(state, done)
                raise KeyboardInterrupt
    return done


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


def _optimizer(model: Mirror, given: Optimizer | MakeOptimizer | None) -> Optimizer:
    if isinstance(given, Optimizer):
        return given
    make = given or (lambda parameters: torch.optim.Adam(parameters, lr=1e-2))
    return make(list(model.parameters()))


def _seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


class _Start(NamedTuple):
    """What there was before a training step."""

    parameters: list[Tensor]
    optimizer: dict[str, Any]


class _NotFinite(Exception):
    """A gradient that an optimiser must not see."""


@dataclass
class _Trainer:
    """Applies gradients, unless they are not finite."""

    model: Mirror
    optimizer: Optimizer
    clip: float | None
    done: Fit
    failed: int = 0
    number: int = 0
    start: _Start | None = None

    def step(
        self, number: int, rule: Rule[Any], state: Any, task: Task, trial: Trial, seed: int
    ) -> tuple[Outcome, Any]:
        """Take one training step."""
        self.number = number
        self.start = _Start(
            [p.detach().clone() for p in self.model.parameters()],
            deepcopy(self.optimizer.state_dict()),
        )
        self.optimizer.zero_grad()
        if not self._asks_again():
            return rule.step(state, self.model, task, trial, seed, self.update)
        seen: list[tuple[Outcome, Any]] = []

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            try:
                seen.append(rule.step(state, self.model, task, trial, seed, _wait))
            except (DomainError, NumericalError) as error:
                if not seen:
                    raise
                raise _NotFinite from error  # the search tried values with which nothing runs
            self.done.evaluations += 1
            if not self._finite():
                raise _NotFinite
            self.model.project_gradients_()
            return torch.tensor(seen[-1][0].loss, dtype=torch.float64)

        try:
            self.optimizer.step(closure)  # pyright: ignore
        except _NotFinite:
            self.undo()
            self._skip()
            return seen[0]
        self.model.project_()
        self.failed = 0
        return min(seen, key=lambda pair: pair[0].loss)

    def require_fits(self, rule: Rule[Any]) -> None:
        """Refuse a rule and an optimiser that do not go together."""
        if rule.online and self._asks_again():
            name = type(rule).__name__
            raise DomainError(
                f"fit(model, ..., rule={name}(...)): {name} changes parameters in each window,"
                " and L-BFGS evaluates a whole trial again and again with parameters of its own"
                " choice, so that one undoes the other. Write optimizer=None, another optimiser"
                " of torch, or rule=mn.BPTT(...)."
            )

    def _asks_again(self) -> bool:
        """Whether the optimiser evaluates the loss itself, more than once a step."""
        return isinstance(self.optimizer, LBFGS)

    @torch.no_grad()
    def undo(self) -> None:
        """Take parameters and optimiser back to where this step started."""
        if self.start is not None:
            for p, good in zip(self.model.parameters(), self.start.parameters, strict=True):
                p.copy_(good)
            self.optimizer.load_state_dict(self.start.optimizer)

    def _finite(self) -> bool:
        """Whether all gradients are finite."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        if not gradients:
            raise GradientError(
                "fit(model, ...): the loss does not depend on any parameter. Check that it reads"
                " what the trained variables influence."
            )
        return all(bool(torch.isfinite(g).all()) for g in gradients)

    def update(self) -> bool:
        """Apply the gradients, unless they are not finite, and clear them."""
        finite = self._finite()
        self.done.evaluations += 1
        if finite:
            self.model.project_gradients_()
            self._clip()
            self.optimizer.step()
            self.model.project_()
            self.failed = 0
        else:
            self._skip()
        self.optimizer.zero_grad()
        return finite

    def _clip(self) -> None:
        if self.clip is None:
            return
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        largest = max((float(g.abs().max()) for g in gradients if g.numel()), default=0.0)
        if largest == 0:
            return
        # Divided by the largest of them, no finite gradient overflows when it is squared.
        norm = sum(float((g / largest).double().square().sum()) for g in gradients) ** 0.5
        if norm > self.clip / largest:
            for g in gradients:
                g.div_(largest).mul_(self.clip / norm)

    def _skip(self) -> None:
        self.failed += 1
        self.done.skipped.append(self.number)
        if self.failed >= PATIENCE:
            self.undo()
            raise GradientError(
                f"fit(model, ...): the gradient was not finite {PATIENCE} times in a row, up to"
                f" step {self.number}. The last good parameters were kept. Use clip=1.0, a wider"
                " surrogate, BPTT(window=...) or a smaller step."
            )
        warnings.warn(
            f"fit(model, ...): the gradient of step {self.number} is not finite; the update was"
            " skipped.",
            TrainingWarning,
            stacklevel=4,
        )


def _wait() -> bool:
    """Leave the gradients for the optimiser, which asked for them."""
    return False


def _warn_of_rates(model: Mirror, rates: Any, step: int) -> None:
    """Say when a group that should learn cannot: silent, or firing at every step."""
    learning = [slot.owner for slot in model.program.slots if slot.margin is not None]
    highest = 1 / model.program.dt
    for name in learning:
        if rates.get(name) == 0 or rates.get(name, 0) > 0.9 * highest:
            what = "is silent" if rates[name] == 0 else "fires at almost every step"
            warnings.warn(
                f"fit(model, ...): {name!r} {what} ({rates[name]:g} Hz) in step {step}, where"
                " gradients through spikes fade. Change its drive or weights, or widen the"
                " surrogate.",
                TrainingWarning,
                stacklevel=3,
            )
