"""What a task is, and what a learning rule provides."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, GradientError

from ..mirror import Mirror
from ..recording import Recording


@checked
class Trial(NamedTuple):
    """What the model meets in one training step.

    Arguments:
        inputs: As in `Mirror.run`. In place of an array, a function of two step counts from the
            start of the trial gives the rows from the first up to the second, so that only those
            of the present window need to exist. It may be asked for the same rows again.
        target: Handed to the loss as it is.
        batch_size: As in `Mirror.run`.
        state: Where to start; by default the network's own state. A function is called when the
            trial begins, so that the start may depend on the parameters.
    """

    inputs: Mapping[str, Any] = {}
    target: Any = None
    batch_size: int | None = None
    state: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None


Loss = Callable[[Recording, Trial], Tensor]


def _same_trial(step: int) -> Trial:
    return Trial()


def _absent(recording: Recording, trial: Trial) -> Tensor:
    raise NotImplementedError  # stands for a loss that was not given; `Task` never keeps it


@checked
@dataclass(frozen=True)
class Task:
    """What a model is to learn.

    Rules that follow the gradient through a whole trial, such as `BPTT(window=...)`, evaluate
    `loss` once, on the whole recording. Rules that change parameters within a trial, such as `FPTT`
    and `BPTT(update="window")`, evaluate a loss on consecutive windows of it (`recording.first` and
    `.steps` say which), so that theirs is the sum over these windows. Say so by `additive` where
    `loss` is such a sum, or give them a loss of their own.

    Arguments:
        duration: Length of a trial, a Quantity [s].
        loss: Loss of the recording of a trial: a tensor of one number. By default that of a window,
            with the whole trial as one.
        trial: Trial of a training step; a function of the step alone, so that training can be
            resumed.
        record: Variables that the loss reads, besides those that it names itself (`loss.record`),
            as the losses of `mn.losses` do.
        additive: Whether `loss` of a trial is the sum of what it gives for consecutive parts of it,
            however it is cut.
        loss_per_window: Loss of the recording of a window; that of a trial is the sum.

    Raises:
        DomainError: There is no loss, or two that are called additive, or one that is not; `trial`
            is no function, or `record` no list.

    Example:
        >>> from brian2 import second
        >>> def effort(recording, trial):  # a sum over time: half a trial gives half of it
        ...     return recording.spikes["motor"].mean((1, 2)).sum()
        >>> Task(1 * second, effort, additive=True).additive
        True
    """

    duration: Any
    loss: Loss | Any = _absent
    trial: Callable[[int], Trial] | Any = _same_trial
    record: Sequence[str] | Any = field(default_factory=tuple[str, ...])
    additive: bool = False
    loss_per_window: Loss | Any = None

    def __post_init__(self) -> None:
        if self.loss is _absent or self.loss is None:
            if self.loss_per_window is None:
                raise DomainError(
                    f"Task({self.duration}): there is no loss, so nothing says what is to be"
                    " learnt. Write Task(..., loss=lambda recording, trial: ...)."
                )
            object.__setattr__(self, "loss", self.loss_per_window)
        _require_functions(self.loss, self.loss_per_window, self.trial)
        _require_names(self.record)
        if self.additive and not getattr(self.loss, "additive", True):
            raise DomainError(
                f"Task(loss={type(self.loss).__name__}(...), additive=True): the losses of"
                " mn.losses are no sums over time: those of windows do not add up to that of the"
                " trial, and another loss would be learnt. Leave out additive and write"
                " rule=mn.BPTT(window=...), which takes any loss, or loss_per_window=... where each"
                " window is to have a loss of its own."
            )
        if self.additive and self.loss_per_window is not None:
            raise DomainError(
                "Task(additive=True, loss_per_window=...): both say what the loss of a window is."
                " Leave out additive where windows have a loss of their own, or loss_per_window"
                " where they have that of the trial."
            )

    def trial_at(self, step: int) -> Trial:
        """Trial of a training step.

        Raises:
            DomainError: `trial` gave something else.
        """
        made: Any = self.trial(step)
        if not isinstance(made, Trial):
            raise DomainError(
                f"Task(trial=...): step {step} gave {made!r}, which is no trial. Write"
                " trial=lambda step: mn.Trial(inputs={'cells.I': ...})."
            )
        return made

    @property
    def recorded(self) -> tuple[str, ...]:
        """What is recorded in a trial."""
        named = [getattr(loss, "record", ()) for loss in (self.loss, self.loss_per_window)]
        return tuple(dict.fromkeys([*self.record, *named[0], *named[1]]))

    def loss_of_trial(self, recording: Recording, trial: Trial) -> Tensor:
        """Loss of a whole recording.

        Raises:
            GradientError: It is not a tensor of one number.
        """
        return _one_number("loss", self.loss(recording, trial))

    def loss_of_window(self, recording: Recording, trial: Trial) -> Tensor:
        """Loss of a part of a trial; that of the trial is the sum.

        Raises:
            GradientError: It is not a tensor of one number.
        """
        if self.loss_per_window is None:
            return self.loss_of_trial(recording, trial)
        return _one_number("loss_per_window", self.loss_per_window(recording, trial))

    def require_windows(self, rule: str) -> None:
        """Refuse a loss that is not known to be a sum over time.

        Raises:
            DomainError: It is not.
        """
        if not self.additive and self.loss_per_window is None:
            raise DomainError(
                f"fit(model, task, rule={rule}): the rule changes parameters within a trial, from"
                " the loss of one window after the other. That needs a loss that is a sum over"
                " time, and the task does not say that its own is one ((mean rate - 15)**2 is"
                " none: the windows' do not add up to that of the trial). Write Task(...,"
                " additive=True) where it is, Task(..., loss_per_window=...) for windows with a"
                " loss of their own, or rule=mn.BPTT(window=...), which takes any loss."
            )


def _require_functions(loss: Any, loss_per_window: Any, trial: Any) -> None:
    """Refuse what cannot be called."""
    for argument, given in (("loss", loss), ("loss_per_window", loss_per_window)):
        if given is not None and not callable(given):
            raise DomainError(
                f"Task({argument}={given!r}): a loss is a function of a recording and its trial."
                f" Write {argument}=lambda recording, trial: ..., or one of mn.losses."
            )
    if not callable(trial):
        raise DomainError(
            f"Task(trial={trial!r}): that is a function of the training step, so that trials can"
            " differ. Write trial=lambda step: mn.Trial(...)."
        )


def _require_names(record: Any) -> None:
    """Refuse what is no list of names."""
    if isinstance(record, str | Mapping) or not (
        isinstance(record, Iterable) and all(isinstance(name, str) for name in _each(record))
    ):
        raise DomainError(
            f"Task(record={record!r}): that is a list of variables, all of whose elements the loss"
            " gets. Write record=['cells.v'], and choose elements in the loss:"
            " recording['cells.v'][:, :, [0, 5]]."
        )


def _each(several: Any) -> tuple[Any, ...]:
    return tuple(several) if np.ndim(several) else (None,)


def _one_number(argument: str, value: Any) -> Tensor:
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        return value.reshape(())
    instead = (
        "Write .mean() or .sum() at its end, and .abs() where it is complex"
        if isinstance(value, Tensor)
        else "Return it from the function, made of the recording's tensors without float(),"
        " .item() or numpy: (recording['cells.v'] + 0.06).square().mean()"
    )
    found = (
        f"a tensor of shape {tuple(value.shape)} and type {value.dtype}"
        if isinstance(value, Tensor)
        else f"{value!r}, of type {type(value).__name__}"
    )
    raise GradientError(
        f"Task({argument}=...): the loss is {found}, but a gradient is that of one real"
        f" number, in a tensor. {instead}."
    )


class Outcome(NamedTuple):
    """What one training step gave.

    Arguments:
        loss: Loss of the trial.
        spikes: Spikes per neuron and second of each group, averaged over the batch [Hz].
    """

    loss: float
    rates: Mapping[str, float]


S = TypeVar("S")


class Rule(ABC, Generic[S]):
    """A way to change parameters by the experience of a trial."""

    @property
    def online(self) -> bool:
        """Whether it changes parameters within a trial, by the loss of one window after the other.

        That needs a loss that is a sum over time, and an optimiser that does not evaluate a trial
        again and again, as L-BFGS does.
        """
        return False

    @abstractmethod
    def init(self, model: Mirror) -> S:
        """State of the rule before the first step: a NamedTuple of tensors and numbers."""

    @abstractmethod
    def step(
        self,
        state: S,
        model: Mirror,
        task: Task,
        trial: Trial,
        seed: int,
        update: Callable[[], bool],
    ) -> tuple[Outcome, S]:
        """Run one trial and leave gradients in the parameters.

        Arguments:
            state: The rule's state.
            model: Changed only through `update`; at the end of a trial also by a rule that says so.
            task, trial: What to learn.
            seed: For the trial's random numbers.
            update: Applies the gradients that have gathered, and clears them. Whether it did: no
                optimiser sees a gradient that is not finite.
        """
