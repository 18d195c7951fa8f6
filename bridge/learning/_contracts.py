"""What a task is, and what a learning rule provides."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from torch import Tensor

from mirrorneuron.bridge.mirror import Mirror
from mirrorneuron.bridge.recording import Recording


class Trial(NamedTuple):
    """What the model meets in one training step.

    Arguments:
        inputs: As in `Mirror.run`. In place of an array, a function of two step counts from the
            start of the trial gives the rows from the first up to the second, so that only those
            of the present window need to exist.
        target: Handed to the loss as it is.
        batch_size: As in `Mirror.run`.
        state: Where to start; by default the network's own state. A function is called when the
            trial begins, so that the start may depend on the parameters.
    """

    inputs: Mapping[str, Any] = {}
    target: Any = None
    batch_size: int | None = None
    state: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None


def _same_trial(step: int) -> Trial:
    return Trial()


@dataclass(frozen=True)
class Task:
    """What a model is to learn.

    Arguments:
        duration: Length of a trial, a Quantity [s].
        loss: Loss of a recording, from its trial. A rule may call it on consecutive parts of a
            trial (`recording.first` and `.steps` say which); the loss of the trial is the sum.
        trial: Trial of a training step; a function of the step alone, so that training can be
            resumed.
        record: Variables that the loss reads, besides those that it names itself (`loss.record`),
            as the losses of `mn.losses` do.
    """

    duration: Any
    loss: Callable[[Recording, Trial], Tensor]
    trial: Callable[[int], Trial] = _same_trial
    record: Sequence[str] = field(default_factory=tuple[str, ...])

    @property
    def recorded(self) -> tuple[str, ...]:
        """What is recorded in a trial."""
        return tuple(dict.fromkeys([*self.record, *getattr(self.loss, "record", ())]))


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
    """A way to change parameters by the experience of a trial.

    `online` says whether it has to change them within a trial, which an optimiser that evaluates
    a trial again and again, such as L-BFGS, does not allow.
    """

    online: ClassVar[bool] = False

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
