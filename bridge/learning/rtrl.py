"""Real-time recurrent learning within neurons, for any equations.

Source: Williams & Zipser 1989, doi:10.1162/neco.1989.1.2.270; within neurons alone, as in e-prop:
Bellec et al. 2020, doi:10.1038/s41467-020-17236-y; the family: Zenke & Neftci 2021,
doi:10.1109/JPROC.2020.3045625. See `lower/traces/` for what is carried along.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, GradientError, UnknownName
from mirrorneuron.units import si

from ..mirror import TIME, Mirror
from ..program import Program
from ..recording import Recording
from ..spikes import State
from ._contracts import Outcome, Rule, Task, Trial
from .bptt import UPDATES
from .online import Traced, own_state, signals, traced
from .window import TrialRun, TrialSummary, edges, part_steps


class RTRLState(NamedTuple):
    """Nothing is carried from one trial to the next."""


@checked
@dataclass(frozen=True)
class RTRL(Rule[RTRLState]):
    r"""Carry the derivatives of a network's variables forward in time, within neurons.

    Each trained weight has the derivatives of all variables of the neuron that it acts on; so have
    neurons' own parameters and those that all share. They follow from the equations, whatever these
    are. What a spike does to other spiking neurons is left out; what it does to groups that do not
    spike, a readout or an arm, is carried along for each of them. Where no path leads from a
    neuron's spikes back to a spiking neuron, the gradient is that of BPTT, and memory does not grow
    with the length of a trial. Of layers that spike, only the last one before what the loss reads
    has the gradient of it.

    Arguments:
        window: Length of a window, a Quantity [s]; None is the whole trial, for any loss. The loss
            of windows has to be a sum over time (`Task.additive`). Traces go on from one window to
            the next.
        update: When parameters change: after each "window", or after the "trial".
        forgetting: Time constant with which traces of groups that do not spike are forgotten, a
            Quantity [s]; None keeps them. A body that falls by itself has traces that grow without
            limit: what its senses do to neurons, which would catch it, is left out. A time constant
            shorter than that of the fall keeps them finite.

    Raises:
        UnitError: The window or the forgetting is no time.
        DomainError: The window is shorter than a time step, or longer than the trial; the loss is
            not known to be a sum over time; the forgetting is not positive.
        GradientError: A statement has no traces, or none of a parameter reaches what the loss
            reads; the loss of another window reads something else.
        UnknownName: `update` is neither of the two.

    Example:
        >>> from brian2 import ms
        >>> RTRL(window=10 * ms).online
        True
    """

    window: Any = None
    update: Literal["window", "trial"] | str = "window"
    forgetting: Any = None

    def __post_init__(self) -> None:
        if self.update not in UPDATES:
            raise UnknownName.among(f"RTRL(update={self.update!r})", self.update, UPDATES)

    @property
    def online(self) -> bool:
        """Whether parameters change after each window."""
        return self.window is not None and self.update == "window"

    def init(self, model: Mirror) -> RTRLState:
        """An empty state."""
        return RTRLState()

    def program(self, model: Mirror, read: Sequence[str]) -> Program:
        """The network with its traces as data: print it.

        Arguments:
            model: A mirror.
            read: What a loss reads: variables, "readout.y", and spikes, "cells.spike".
        """
        return self.traced(model, read).found.program

    def traced(self, model: Mirror, read: Sequence[str], driven: Iterable[str] = ()) -> Traced:
        """A model with its traces.

        Arguments:
            model: A mirror.
            read: What a loss reads.
            driven: Names of the inputs of a run.
        """
        return traced(model, read, kept=self.kept(model), driven=driven)

    def kept(self, model: Mirror) -> float:
        """Share of a trace that is left after a step, in groups that do not spike."""
        if self.forgetting is None:
            return 1.0
        asked = f"{type(self).__name__}(forgetting={self.forgetting})"
        seconds = float(si(self.forgetting, TIME, f"{asked}: the time constant"))
        if not seconds > 0:
            raise DomainError(
                f"{asked}: a time constant is positive. Write, say, forgetting=100*ms, or None to"
                " keep traces as the equations have them."
            )
        return exp(-model.program.dt / seconds)

    def step(
        self,
        state: RTRLState,
        model: Mirror,
        task: Task,
        trial: Trial,
        seed: int,
        update: Callable[[], bool],
    ) -> tuple[Outcome, RTRLState]:
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

    def __init__(self, run: TrialRun, rule: RTRL) -> None:
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
        loss = loss_of(leaves, run.trial)
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
        self.traced = self.rule.traced(model, read, run.trial.inputs)
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
