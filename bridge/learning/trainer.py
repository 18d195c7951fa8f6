"""Trainer: takes training steps, and applies no update that would do harm."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from math import isfinite, nan
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from mirrorneuron.errors import DomainError, GradientError, NumericalError

from ..mirror import Mirror
from ._contracts import Outcome, Rule, Task, Trial
from .arguments import require_function
from .guard import PATIENCE, Guard
from .norm import clip_, norm
from .result import Fit

MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]


def optimizer_for(model: Mirror, given: Optimizer | MakeOptimizer | Any) -> Optimizer:
    """The optimiser of a training: see `fit`.

    Raises:
        DomainError: It is none, or it holds none of the model's parameters.
    """
    if given is None:
        return torch.optim.Adam(model.parameters(), lr=1e-2)
    instead = "optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-2)"
    made: Any = given
    if not isinstance(given, Optimizer):
        require_function("optimizer", given, instead)
        made = given(list(model.parameters()))
    if not isinstance(made, Optimizer):
        raise DomainError(
            f"fit(optimizer=...): the function gave {made!r}, which is no optimiser of torch."
            f" Write, say, {instead}."
        )
    if not _held(made) & set(map(id, model.parameters())):
        raise DomainError(
            f"fit(model, ..., optimizer={type(made).__name__}(...)): the optimiser holds none of"
            f" the model's parameters ({', '.join(model.limits)}), so that nothing would be"
            f" trained. It was made for something else. Write {instead}, or give it"
            " model.parameters()."
        )
    return made


def _held(optimizer: Optimizer) -> set[int]:
    """Which tensors an optimiser changes."""
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


class _Start(NamedTuple):
    """What there was before an update."""

    parameters: list[Tensor]
    optimizer: dict[str, Any]


class _NotFinite(Exception):
    """A gradient that an optimiser must not see."""


@dataclass
class Trainer:
    """Applies gradients, unless that would do harm.

    Arguments:
        model, optimizer, clip: As in `fit`.
        done: What there is so far.
        guard: Judges gradients.
        number: The present step.
        norm: Norm of its gradient, the largest so far.
        values: The parameters to which its loss belongs, in SI units.
        start, before: What there was before the step, and before the next update of it.
        pushed: Whether an update by a gradient that is not zero was applied in it.
    """

    model: Mirror
    optimizer: Optimizer
    clip: float | None
    done: Fit
    guard: Guard
    number: int = 0
    norm: float = 0.0
    values: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    start: _Start = field(default_factory=lambda: _Start([], {}))
    before: _Start | None = None
    pushed: bool = False

    def __post_init__(self) -> None:
        held = _held(self.optimizer)
        left = [key for key, p in self.model.named_parameters() if id(p) not in held]
        if left:
            self.guard.say(
                "parameters without optimiser",
                f"the optimiser does not hold {', '.join(left)}, which stay as they are. Give it"
                " model.parameters(), or leave these out of mirror(net, train=...).",
            )

    def say_what_is_not_kept(self) -> None:
        """Say it if the optimiser changes what no checkpoint holds."""
        own = set(map(id, self.model.parameters()))
        others = len(_held(self.optimizer) - own)
        if others:
            self.guard.say(
                "parameters without checkpoint",
                f"the optimiser also holds {others} tensors that are not the model's. Checkpoints"
                " hold only the model's, so that a training that goes on from one would find others"
                " in their place. Save them yourself in a callback, or leave out checkpoint.",
            )

    def require_fits(self, rule: Rule[Any], task: Task) -> None:
        """Refuse a rule, a task and an optimiser that do not go together.

        Raises:
            DomainError: They do not.
        """
        name = type(rule).__name__
        if rule.online:
            task.require_windows(f"{name}(...)")
        if rule.online and self.searches:
            raise DomainError(
                f"fit(model, ..., rule={name}(...)): {name} changes parameters in each window,"
                " and L-BFGS evaluates a whole trial again and again with parameters of its own"
                " choice, so that one undoes the other. Write optimizer=None, another optimiser"
                " of torch, or rule=mn.BPTT(...)."
            )
        if self.clip is not None and self.searches:
            raise DomainError(
                f"fit(clip={self.clip}): L-BFGS compares losses with gradients along its search,"
                " and a clipped gradient is not that of the loss. Write clip=None; the search"
                " limits its steps by itself."
            )

    @property
    def searches(self) -> bool:
        """Whether the optimiser evaluates the loss itself, more than once a step."""
        return isinstance(self.optimizer, LBFGS)

    @property
    def rates(self) -> tuple[float, ...]:
        """Learning rates."""
        return tuple(float(group.get("lr", nan)) for group in self.optimizer.param_groups)

    # ---- a step

    @torch.enable_grad()
    def step(
        self, number: int, rule: Rule[Any], state: Any, task: Task, trial: Trial, seed: int
    ) -> tuple[Outcome, Any]:
        """Take one training step.

        Raises:
            GradientError: The loss depends on no parameter, or too many updates were skipped.
        """
        self.number, self.norm, self.pushed = number, 0.0, False
        self.start = self.before = self._present()
        self.values = _values(self.model)
        self.optimizer.zero_grad()

        def evaluate(update: Callable[[], bool]) -> tuple[Outcome, Any]:
            return rule.step(state, self.model, task, trial, seed, update)

        if self.searches:
            return self._search(evaluate)
        try:
            found = evaluate(self.update)
        except NumericalError as error:
            if self.done.best is None:
                raise
            self.undo(self.start)
            self._skip("a trial could not be run", partial(self.guard.say_unstable, str(error)))
            return Outcome(nan, {}), state
        self._require_moved()
        return found

    def _search(
        self, evaluate: Callable[[Callable[[], bool]], tuple[Outcome, Any]]
    ) -> tuple[Outcome, Any]:
        """A step of an optimiser that asks for the loss again and again."""
        seen: list[tuple[Outcome, Any]] = []

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            try:
                seen.append(evaluate(_wait))
            except (DomainError, NumericalError) as error:
                if not seen:
                    raise
                raise _NotFinite from error  # the search tried values with which nothing runs
            self.done.evaluations += 1
            size = self._size()
            if len(seen) == 1 or seen[-1][0].loss < min(x.loss for x, _ in seen[:-1]):
                self.norm, self.values = size, _values(self.model)
            if not isfinite(size):
                raise _NotFinite
            return torch.tensor(seen[-1][0].loss, dtype=torch.float64)

        try:
            self.optimizer.step(closure)  # pyright: ignore
        except _NotFinite:
            self.undo(self.start)
            self._skip("the gradient was not finite", self.guard.say_not_finite)
            return seen[0]
        self.model.project_()
        self.done.failed = 0
        return min(seen, key=lambda pair: pair[0].loss)

    # ---- updates

    def update(self) -> bool:
        """Apply the gradients, unless that would do harm, and clear them."""
        self.done.evaluations += 1
        if self.before is None:
            self.before = self._present()
        applied = self._apply()
        self.optimizer.zero_grad()
        return applied

    def _apply(self) -> bool:
        """Apply the gradients; whether they were."""
        size = self._size()
        self.norm = max(self.norm, size) if isfinite(size) else size
        if not isfinite(size):
            self._skip("the gradient was not finite", self.guard.say_not_finite)
            return False
        if self.guard.is_outlier(size):
            self._note_skipped()
            self.guard.say_outlier(self.number, size)
            return False
        if self.clip is not None:
            clip_(self._gradients(), self.clip)
        self.optimizer.step()
        lost = self._not_finite()
        if lost:
            self.undo(cast(_Start, self.before))
            self._skip(
                f"an update left {lost} not finite",
                partial(self.guard.say_overflow, lost, size),
            )
            return False
        self.model.project_()
        self.before, self.done.failed = None, 0
        self.pushed = self.pushed or size > 0
        return True

    def _size(self) -> float:
        """Norm of the gradients, without what would lead out of a limit."""
        gradients = self._gradients()
        size = norm(gradients)
        if not isfinite(size):
            return size
        self.model.project_gradients_()
        return norm(gradients)

    def _gradients(self) -> list[Tensor]:
        """Gradients of all parameters that have one.

        Raises:
            GradientError: None has.
        """
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        if not gradients:
            raise GradientError(
                "fit(model, ...): the loss does not depend on any parameter. Check that it reads"
                " what the trained variables influence, without .detach() or a comparison on the"
                " way, and that the trial has a step."
            )
        return gradients

    def _not_finite(self) -> str:
        """What an update has lost, in words."""
        if not all(bool(torch.isfinite(p).all()) for p in self.model.parameters()):
            return "parameters"
        for held in self.optimizer.state.values():
            for name, x in cast(dict[str, Any], held).items():
                if isinstance(x, Tensor) and not bool(torch.isfinite(x).all()):
                    return f"{name!r} in the state of {type(self.optimizer).__name__}"
        return ""

    def _require_moved(self) -> None:
        """Say it if updates changed nothing."""
        if self.pushed and any(rate > 0 for rate in self.rates):
            now = self.model.state_dict()
            if all(torch.equal(now[key], was) for key, was in self.values.items()):
                self.guard.see_unmoved(self.number, self.norm, self.rates)

    def _note_skipped(self) -> None:
        self.done.skipped.append(self.number)

    def _skip(self, cause: str, say: Callable[[int], None]) -> None:
        """Leave an update out, and end the training if that happens again and again."""
        self.done.failed += 1
        self._note_skipped()
        if self.done.failed >= PATIENCE:
            self.undo(self.start)
            raise self.guard.give_up(self.number, cause)
        say(self.number)

    # ---- the way back

    def _present(self) -> _Start:
        return _Start(
            [p.detach().clone() for p in self.model.parameters()],
            deepcopy(self.optimizer.state_dict()),
        )

    @torch.no_grad()
    def undo(self, to: _Start) -> None:
        """Take parameters and optimiser back."""
        for p, good in zip(self.model.parameters(), to.parameters, strict=True):
            p.copy_(good)
        self.optimizer.load_state_dict(to.optimizer)

    def go_back_to_best(self) -> None:
        """Go on from the best parameters, with an optimiser that remembers nothing."""
        if self.done.best is not None:
            self.model.load_state_dict(dict(self.done.best.values))
            self.optimizer.state.clear()


def _values(model: Mirror) -> dict[str, Tensor]:
    """The parameters in SI units."""
    return {key: value.detach().clone() for key, value in model.state_dict().items()}


def _wait() -> bool:
    """Leave the gradients for the optimiser, which asked for them."""
    return False
