"""What a task is, and what a learning rule provides."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from torch import Tensor

from mirrorneuron.errors import DomainError, GradientError

from ..mirror import Mirror
from ..recording import Recording


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
        DomainError: There is no loss, or two that are called additive.

    Example:
        >>> from brian2 import second
        >>> def effort(recording, trial):  # a sum over time: half a trial gives half of it
        ...     return recording.spikes["motor"].mean((1, 2)).sum()
        >>> Task(1 * second, effort, additive=True).additive
        True
    """

    duration: Any
    loss: Loss = _absent
    trial: Callable[[int], Trial] = _same_trial
    record: Sequence[str] = field(default_factory=tuple[str, ...])
    additive: bool = False
    loss_per_window: Loss | None = None

    def __post_init__(self) -> None:
        if self.loss is _absent:
            if self.loss_per_window is None:
                raise DomainError(
                    f"Task({self.duration}): there is no loss, so nothing says what is to be"
                    " learnt. Write Task(..., loss=lambda recording, trial: ...)."
                )
            object.__setattr__(self, "loss", self.loss_per_window)
        if self.additive and self.loss_per_window is not None:
            raise DomainError(
                "Task(additive=True, loss_per_window=...): both say what the loss of a window is."
                " Leave out additive where windows have a loss of their own, or loss_per_window"
                " where they have that of the trial."
            )

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


def _one_number(argument: str, value: Any) -> Tensor:
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.reshape(())
    instead = (
        "Write .mean() or .sum() at its end"
        if isinstance(value, Tensor)
        else "Return it from the function, made of the recording's tensors without float(),"
        " .item() or numpy: (recording['cells.v'] + 0.06).square().mean()"
    )
    found = (
        f"a tensor of shape {tuple(value.shape)}"
        if isinstance(value, Tensor)
        else f"{value!r}, of type {type(value).__name__}"
    )
    raise GradientError(
        f"Task({argument}=...): the loss is {found}, but a gradient is that of one number, in a"
        f" tensor. {instead}."
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
