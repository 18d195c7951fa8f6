"""Carried: what rules have in common that carry derivatives forward in time.

A window runs twice, for its loss and with traces: see `online`. Which traces there are is up to
each rule.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from mirrorneuron.errors import GradientError, UnknownName

from ..mirror import Mirror
from ..program import Program
from ..recording import Recording
from ..spikes import State
from ._contracts import Loss, Outcome, Rule, Task, Trial
from .bptt import UPDATES
from .online import Traced, own_state, signals
from .window import TrialRun, TrialSummary, edges, part_steps


class CarriedState(NamedTuple):
    """Nothing is carried from one trial to the next."""


@dataclass(frozen=True)
class Carried(Rule[CarriedState]):
    """A rule that carries traces forward in time.

    Arguments:
        window: Length of a window, a Quantity [s]; None is the whole trial, for any loss. The loss
            of windows has to be a sum over time (`Task.additive`). Traces go on from one window to
            the next.
        update: When parameters change: after each "window", or after the "trial".

    Raises:
        UnknownName: `update` is neither of the two.
    """

    window: Any = None
    update: Literal["window", "trial"] | str = "window"

    def __post_init__(self) -> None:
        if self.update not in UPDATES:
            name = type(self).__name__
            raise UnknownName.among(f"{name}(update={self.update!r})", self.update, UPDATES)

    @property
    def online(self) -> bool:
        """Whether parameters change after each window."""
        return self.window is not None and self.update == "window"

    def init(self, model: Mirror) -> CarriedState:
        """An empty state."""
        return CarriedState()

    def program(self, model: Mirror, read: Sequence[str]) -> Program:
        """The network with its traces as data: print it.

        Arguments:
            model: A mirror.
            read: What a loss reads: variables, "readout.y", and spikes, "cells.spike".
        """
        return self.prepared(model, read).found.program

    def prepared(self, model: Mirror, read: Sequence[str], driven: Iterable[str] = ()) -> Traced:
        """A model with its traces, whose report says from now on what they leave out."""
        made = self.traced(model, read, driven)
        model.left_out[f"mn.{type(self).__name__}"] = tuple(made.found.cuts)
        return made

    @abstractmethod
    def traced(self, model: Mirror, read: Sequence[str], driven: Iterable[str] = ()) -> Traced:
        """A model with its traces.

        Arguments:
            model: A mirror.
            read: What a loss reads.
            driven: Names of the inputs of a run.
        """

    def loss(self, loss_of: Loss, leaves: Recording, trial: Trial, model: Mirror) -> Tensor:
        """The loss of a window.

        Arguments:
            loss_of: The task's own.
            leaves: The recording, of which the derivatives are asked for.
            trial: The trial.
            model: What ran.
        """
        return loss_of(leaves, trial)

    def step(
        self,
        state: CarriedState,
        model: Mirror,
        task: Task,
        trial: Trial,
        seed: int,
        update: Callable[[], bool],
    ) -> tuple[Outcome, CarriedState]:
        """See `Rule.step`."""
        run = TrialRun(model, task, trial, seed)
        episode = _Episode(run, self)
        for start, stop in pairwise(self._edges(run)):
            episode.play(start, stop, self.window is None)
            if self.online:
                episode.take()
                update()
        if not self.online:
            episode.take()
            update()
        return episode.summary.outcome, state

    def _edges(self, run: TrialRun) -> list[int]:
        name = type(self).__name__
        if self.window is None:
            return edges(run.steps, max(run.steps, 1))
        run.task.require_windows(f"{name}(window=...)")
        return edges(run.steps, part_steps(run.model, run.steps, name, "window", self.window))


class _Episode:
    """A trial with traces.

    Arguments:
        run: The trial.
        rule: Says which traces there are.
    """

    def __init__(self, run: TrialRun, rule: Carried) -> None:
        self.run, self.rule, self.summary = run, rule, TrialSummary(run.steps)
        self.traced: Traced | None = None
        self.state: State = {}

    def play(self, start: int, stop: int, whole: bool) -> None:
        """Run the steps of a window, and gather their gradient.

        Arguments:
            start, stop: Counted from the start of the trial.
            whole: Whether the loss is that of the trial.
        """
        run, task = self.run, self.run.task
        with torch.no_grad():
            before = own_state(run.model, self.state) if self.state else None
            recording = run.play(start, stop, before)
        leaves = recording.as_leaves()
        loss_of = task.loss_of_trial if whole else task.loss_of_window
        loss = self.rule.loss(loss_of, leaves, run.trial, run.model)
        if loss.requires_grad:
            loss.backward()
        self.summary.add(loss, recording)
        found = signals(leaves)
        if self.traced is None:
            self._begin(recording, found)
        self._require_read(found, start)
        if self.traced is not None:
            rows = {key: run.rows(key, start, stop) for key in run.trial.inputs}
            self.state = self.traced.follow(run.model, self.state, rows, found, stop - start)

    def _begin(self, recording: Recording, found: Mapping[str, Tensor]) -> None:
        """Make the network with traces of what the loss reads."""
        run, model = self.run, self.run.model
        spiking = [f"{name}.spike" for name in model.program.spiking()]
        read = list(found) or [*spiking, *run.task.recorded]
        self.traced = self.rule.prepared(model, read, run.trial.inputs)
        batch = next(iter(recording.spikes.sizes.values()), (1, 0))[0]
        if run.trial.batch_size is not None:
            batch = run.trial.batch_size
        self.state = self.traced.start(model, batch, run.origin() or {}, run.seed)

    def _require_read(self, found: Mapping[str, Tensor], start: int) -> None:
        known = self.traced.found.signals if self.traced is not None else {}
        unknown = sorted(set(found) - set(known))
        if unknown:
            raise GradientError(
                f"an online rule: the loss of the window at step {start} reads"
                f" {', '.join(unknown)}, which that of the first window did not, so that no trace"
                " was kept of it. Let the loss read the same in each window, times zero where it"
                " does not count."
            )

    def take(self) -> None:
        """Give the parameters the gradient that has gathered."""
        if self.traced is not None:
            self.traced.take(self.run.model, self.state)
