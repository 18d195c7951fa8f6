"""Replay: the gradient of the loss of a whole trial, with memory of one window of it.

The trial runs once without a graph; its state is kept where windows begin. The loss is evaluated
once, on the whole recording, and its gradient with respect to each recorded value is found. Then
each window runs again, with a graph, from its state, and takes these gradients to the parameters.
The gradient does not pass from a window to the one before: that alone is truncated.

Source: truncation: Williams & Peng 1990, doi:10.1162/neco.1990.2.4.490 (their BPTT(h; h') with
h = h'); a second run in place of stored activity: Griewank 1992, doi:10.1080/10556789208805505.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from ..recording import Recording
from ..spikes import Events
from .window import TrialRun


@dataclass
class Replay:
    """A trial that runs without a graph, and again, window by window, with one.

    Arguments:
        trial_run: The trial.
        cuts: Steps at which windows begin, from 0, and the end.
        borders: State in which each window begins; None is the trial's own start.
    """

    trial_run: TrialRun
    cuts: Sequence[int]
    borders: list[Mapping[str, Any] | None] = field(
        default_factory=list[Mapping[str, Any] | None], init=False
    )

    @torch.no_grad()
    def run(self) -> Recording:
        """Run the trial and keep the states at borders."""
        parts: list[Recording] = []
        self.borders = [None]
        for start, stop in pairwise(self.cuts):
            parts.append(self.trial_run.play(start, stop, self.borders[-1]))
            self.borders.append(parts[-1].state)
        return Recording.joined(parts)

    def backward(self, leaves: Recording) -> None:
        """Add gradients of the parameters from those of recorded values.

        Arguments:
            leaves: The recording, as leaves that hold their gradients.
        """
        trial_run, inputs = _with_inputs_as_leaves(self.trial_run)
        for window in self._needed(leaves):
            recording = trial_run.play(window.start, window.stop, window.state)
            pairs = list(_pairs(window.values(recording), window.slopes(leaves)))
            if pairs:
                torch.autograd.backward([x for x, _ in pairs], [slope for _, slope in pairs])
            del recording, pairs  # or two windows would be held while the next one runs
        for x, leaf in inputs:
            if leaf.grad is not None:
                x.backward(leaf.grad)

    def _needed(self, leaves: Recording) -> "list[_Window]":
        """Windows on which the loss depends; where all its slopes are zero, the last of these."""
        end, borders = self.cuts[-1], self.borders[:-1]
        windows = [
            _Window(start, stop, state, stop == end)
            for (start, stop), state in zip(pairwise(self.cuts), borders, strict=True)
        ]
        reached = [w for w in windows if any(g is not None for g in w.slopes(leaves))]
        steep = [w for w in reached if any(g is not None and g.any() for g in w.slopes(leaves))]
        return steep or reached[-1:]


class _Window(NamedTuple):
    """Steps that run again.

    Arguments:
        start, stop: First step, and the one after the last.
        state: Where it starts; None is the trial's own start.
        final: Whether it ends with the trial.
    """

    start: int
    stop: int
    state: Mapping[str, Any] | None
    final: bool

    def slopes(self, leaves: Recording) -> list[Tensor | None]:
        """Gradients of the loss with respect to `values`."""
        parts = [x.grad if x.grad is None else x.grad[self.start : self.stop]
                 for x in _series(leaves)]  # fmt: skip
        return parts + ([x.grad for x in _tensors(leaves.state)] if self.final else [])

    def values(self, recording: Recording) -> list[Tensor]:
        """What the loss can see of the window."""
        return [*_series(recording), *(_tensors(recording.state) if self.final else [])]


def _pairs(values: list[Tensor], slopes: list[Tensor | None]) -> Iterator[tuple[Tensor, Tensor]]:
    """Values that depend on parameters, and their slopes."""
    for value, slope in zip(values, slopes, strict=True):
        if slope is not None and value.requires_grad:
            yield value, slope


def _series(recording: Recording) -> Iterator[Tensor]:
    """All that has an axis of time."""
    yield from recording.spikes.values()
    yield from recording.traces.values()


def _tensors(value: Any) -> Iterator[Tensor]:
    """Tensors of a state, in its order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Events):
        yield value.spikes
    elif isinstance(value, Mapping):
        for inner in cast(Mapping[str, Any], value).values():
            yield from _tensors(inner)
    elif type(value) is tuple:
        for inner in cast(tuple[Any, ...], value):
            yield from _tensors(inner)


def _with_inputs_as_leaves(trial_run: TrialRun) -> tuple[TrialRun, list[tuple[Tensor, Tensor]]]:
    """A trial whose inputs end the gradient, and inputs that depend on something, with theirs.

    What such inputs were made by is shared by all windows and can be followed back only once.
    """
    inputs = dict(trial_run.trial.inputs)
    followed = {k: x for k, x in inputs.items() if isinstance(x, Tensor) and x.requires_grad}
    leaves = {key: x.detach().requires_grad_() for key, x in followed.items()}
    trial = trial_run.trial._replace(inputs=inputs | leaves)
    return replace(trial_run, trial=trial), [(x, leaves[key]) for key, x in followed.items()]
