"""cross_entropy: a class for each neuron of an output group."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, ShapeError
from mirrorneuron.units import Dimensions

from ..learning._contracts import Trial
from ..recording import Recording
from ._contracts import Loss
from ._target import chosen, plain, positive


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """See `cross_entropy`, which makes it."""

    readout: str
    target: Any
    scale: Any

    @property
    def record(self) -> tuple[str, ...]:
        """The variable, unless spikes are counted."""
        return (self.readout,) if "." in self.readout else ()

    def __call__(self, recording: Recording, trial: Trial) -> Tensor:
        """The loss."""
        scores = self._scores(recording)
        labels = self._labels(scores, chosen(self.target, trial, self.readout, self._asked))
        return torch.nn.functional.cross_entropy(scores, labels.to(scores.device))

    @property
    def _asked(self) -> str:
        return f"mn.losses.cross_entropy({self.readout!r})"

    def _scores(self, recording: Recording) -> Tensor:
        """Score of each class in each trial, "batch neuron"."""
        counted = "." not in self.readout
        unit = Dimensions() if counted else recording.units[self.readout]
        if self.scale is None and unit != Dimensions():
            raise DomainError(
                f"{self._asked}: the readout is in [{unit}], but the score of a class is a pure"
                " number. Say by how much the right class has to lead: scale=1*mV for a voltage."
            )
        scale = 1.0 if self.scale is None else positive(self.scale, unit, f"{self._asked}: scale")
        found = (
            recording.spikes[self.readout].sum(0) if counted else recording[self.readout].amax(0)
        )
        return found / scale

    def _labels(self, scores: Tensor, given: Any) -> Tensor:
        labels = plain(given, Dimensions(), f"{self._asked}: the target")
        trials, classes = scores.shape
        if labels.shape != (trials,):
            raise ShapeError(
                f"{self._asked}: the target has the shape {labels.shape}, but there are {trials}"
                f" trials. Each belongs to one class. Give ({trials},) whole numbers."
            )
        if ((labels < 0) | (labels >= classes) | (labels % 1 != 0)).any():
            raise DomainError(
                f"{self._asked}: the target has a label that is no whole number from 0 to"
                f" {classes - 1}, but each of the {classes} neurons stands for one class."
                " Number the classes from 0, and give the group a neuron for each."
            )
        return torch.from_numpy(labels).long()


@checked
def cross_entropy(readout: str, target: Any = None, scale: Any = None) -> Loss:
    r"""Cross entropy of the softmax over neurons with the right class, one neuron a class.

    $L = -\langle \log \frac{e^{x_c}}{\sum_j e^{x_j}} \rangle$ over trials, for class $c$

    Arguments:
        readout: A group, "out", whose spikes are counted, or a variable, "out.v", of which the
            maximum over time counts; it is recorded.
        target: Class of each trial, whole numbers from 0, " batch"; by default those of the trial.
        scale: The score is the count or maximum divided by it: a Quantity in the unit of the
            variable, or a plain number (by default 1) for counts.

    Raises:
        UnitError: The scale is in another unit than the readout.
        DomainError: There is no target, a label is no class, or a variable with a unit has no
            scale.
        ShapeError: There is not one label for each trial.
        UnknownName: There is no such group or variable.

    Example:
        >>> from brian2 import mV
        >>> loss = cross_entropy("out.v", [0, 2, 1], scale=1*mV)
    """
    return CrossEntropy(readout, target, scale)
