r"""EventProp: the exact gradient of spike times, for any equations.

Between spikes a network flows; at a spike the state jumps, and the time of the spike follows from
the state. The derivative of the whole is exact and needs no surrogate: see
`event_driven/adjoint.py`.

Source: Wunderlich & Pehle 2021, doi:10.1038/s41598-021-91786-z; what exact gradients do not see,
and losses that help: Nowotny, Turner & Knight 2025, doi:10.1088/2634-4386/ada852.
Differs from it: any equations, thresholds, resets and synaptic statements; the derivative is that
of the integrator that runs, not of the equations, so that it equals differences of the run.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mirrorneuron.errors import DomainError, GradientError

from ..event_driven.run import EventRecording, event_driven
from ..event_driven.spike_times import SpikeTimes
from ..mirror import Mirror
from ._contracts import Outcome, Rule, Task, Trial
from .guard import TrainingWarning
from .window import TrialRun

OFTEN = 0.01  # share of grazing spikes that is worth a warning


class EventPropState(NamedTuple):
    """What happened so far.

    Arguments:
        spikes: Number of spikes.
        grazing: Those that came so slowly to threshold that their gradient was limited.
    """

    spikes: int = 0
    grazing: int = 0


@dataclass(frozen=True)
class EventProp(Rule[EventPropState]):
    r"""Follow the exact gradient of spike times and potentials back from event to event.

    A trial runs from event to event: with Brian2's own integrator (exact with method="exact"),
    in steps of the clock's dt that end where a neuron crosses its threshold or a spike arrives. A
    spike thus has a time between the steps, and the loss reads it:

    * `recording.times("out")`, "batch neuron spike" in seconds, padded with infinity;
      `recording.first_times("out")`, "batch neuron"; `recording.counts("out")`;
    * `recording["out.v"]`, values at the start of each step, as with other rules. For an integral
      over time, write a variable, dA/dt = v, and read it at the end: `recording.state["out.A"]`.

    Weights, parameters of neurons or of all, thresholds and initial values are trained. No gradient
    sees a spike appear or vanish: a silent neuron has an infinite time, and only traces of its
    potential have a gradient. Start with neurons that spike. A neuron that grazes its threshold has
    a time of infinite slope, which is limited and counted.

    Arguments:
        least_speed: Velocity of a margin at a spike below which the gradient is limited: the
            largest distance to threshold, times this number, in the time of a trial.

    Raises:
        DomainError: `least_speed` is no positive number.
        GradientError: A part of the network is no flow that crossings interrupt (lists all of
            them); the loss reads nothing that has a gradient.

    Example:
        >>> EventProp().least_speed
        0.01
    """

    least_speed: float | Any = 0.01

    def __post_init__(self) -> None:
        given: Any = self.least_speed
        number = isinstance(given, int | float | np.floating) and not isinstance(given, bool)
        if not number or not 0 < given < np.inf:
            raise DomainError(
                f"EventProp(least_speed={given!r}): gradients are divided by velocities, of which"
                " this is the smallest that counts, so that it has to be a positive number. Write"
                " 0.01."
            )

    def init(self, model: Mirror) -> EventPropState:
        """No spikes yet."""
        return EventPropState()

    def run(
        self,
        model: Mirror,
        duration: Any,
        inputs: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        state: Mapping[str, Any] | None = None,
        record: Sequence[str] = (),
    ) -> EventRecording:
        """Run a model from event to event, without training it; torch can differentiate the result.

        Arguments:
            model: A mirror.
            duration: How long, a Quantity [s].
            inputs: As in `Mirror.run`; spikes may be `mn.SpikeTimes`. Spikes of a grid act at the
                end of their step, as in Brian2.
            batch_size, state: As in `Mirror.run`.
            record: Variables to record at the start of each step.

        Raises:
            GradientError: A part of the network is no flow that crossings interrupt.
            NumericalError: A margin is not finite, or spikes follow each other without end.
        """
        return event_driven(
            model, model.steps(duration), inputs or {}, batch_size, state, record, self.least_speed
        )

    def step(
        self,
        state: EventPropState,
        model: Mirror,
        task: Task,
        trial: Trial,
        seed: int,
        update: Callable[[], bool],
    ) -> tuple[Outcome, EventPropState]:
        """See `Rule.step`."""
        run = TrialRun(model, task, _on_grid(trial), seed)
        inputs = {key: run.rows(key, 0, run.steps) for key in run.trial.inputs}
        given = {**trial.inputs, **inputs}
        recording = event_driven(
            model, run.steps, given, trial.batch_size, run.origin(), task.recorded,
            self.least_speed,
        )  # fmt: skip
        loss = task.loss_of_trial(recording, trial)
        if not loss.requires_grad and model.trained:
            raise GradientError(
                "EventProp: the loss reads nothing that has an exact gradient: no spike times,"
                " no traces, no final state. Read recording.first_times('out') or"
                " recording['out.v'] in it, or write rule=mn.BPTT()."
            )
        if loss.requires_grad:
            loss.backward()
        tally = recording.tally
        if tally.grazing > OFTEN * tally.spikes:
            warnings.warn(
                f"EventProp: {tally.grazing} of {tally.spikes} spikes of a trial only graze their"
                " threshold, so that their times depend on parameters without bound, and their"
                " gradients are limited. Larger weights, or a larger least_speed, help.",
                TrainingWarning,
                stacklevel=2,
            )
        update()
        done = EventPropState(state.spikes + tally.spikes, state.grazing + tally.grazing)
        return Outcome(float(loss.detach()), recording.rates()), done


def _on_grid(trial: Trial) -> Trial:
    """The trial with those of its inputs that have a row for each step."""
    return trial._replace(
        inputs={key: x for key, x in trial.inputs.items() if not isinstance(x, SpikeTimes)}
    )
