"""Online: the gradient of a window, from traces that are carried forward in time.

A window runs twice. The first run, of the network alone, gives what the loss reads; the derivative
of the loss by each of these values is the signal. The second run, of the network with its traces
(see `lower/traces/`), starts from the same state, takes the signals as inputs and adds up
the gradient. Between windows the traces stay as they are, so that nothing is cut off in time.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from mirrorneuron.errors import GradientError

from ..backends import backends, chosen_backend
from ..backends._contracts import Demand, Engine
from ..draws import Draws
from ..inputs import Inputs
from ..lower.traces.carrier import Pause, Rise, SpikeSlope
from ..lower.traces.eligibility import Eligibility, Total, eligibility
from ..lower.traces.senders import senders
from ..mirror import Mirror
from ..program import Array
from ..recording import Recording
from ..spike_gradient import LEAST_SPEED, NO_LEAK, ResetDepth, SpikeGradient
from ..spikes import Events, State, copied, detach
from ..upstroke import PER_OCTAVE
from ..values import Values

_KEPT: WeakKeyDictionary[Mirror, dict[Any, Any]] = WeakKeyDictionary()


@dataclass
class Traced:
    """The network of a model with the traces of an online rule.

    Arguments:
        found: The network with traces.
    """

    found: Eligibility
    engines: dict[Any, Engine] = field(default_factory=dict[Any, Engine], init=False)

    def values(self, model: Mirror) -> Values:
        """Values of its variables, the trained ones as they are now."""
        own = model.values
        trained = {key: value.detach() for key, value in own.trained.items()}
        return Values(self.found.program, trained, own.dtype, own.device)

    def engine(self, model: Mirror) -> Engine:
        """What runs it: what the model asks for, where that covers it."""
        place = model.asked, model.dtype, model.device
        if place not in self.engines:
            name = self._backend(model)
            made = backends[name]()
            self.engines[place] = made.compile(self.found.program, model.trained_constants, {})
        return self.engines[place]

    def _backend(self, model: Mirror) -> str:
        demand = Demand(self.found.program, {}, model.dtype, model.device)
        asked = model.backend if model.asked != "auto" else "auto"
        covered = asked == "auto" or not backends[asked]().covers(demand)
        return chosen_backend(asked if covered else "auto", demand)

    def start(self, model: Mirror, batch: int, origin: Mapping[str, Any], seed: int) -> State:
        """State in which a trial starts, with traces of zero.

        Arguments:
            model: The model.
            batch: Number of trials.
            origin: Where the network starts; nothing for its own state.
            seed: Of the random numbers.
        """
        state = self.values(model).initial_state(batch)
        return {**state, **detach(origin), "draws": Draws(seed, batch)}

    @torch.no_grad()
    def follow(
        self, model: Mirror, state: State, inputs: Mapping[str, Any], found: Mapping[str, Tensor],
        steps: int,
    ) -> State:  # fmt: skip
        """Run on from a state, with signals among the inputs.

        Arguments:
            model: The model.
            state: Where to start; it is not changed.
            inputs: As in a run of the model.
            found: Derivatives of the loss by what it read, "time batch element".
            steps: Number of steps.

        Returns:
            The state at the end.
        """
        values, program, known = self.values(model), self.found.program, self.found.signals
        batch = state["draws"].size
        given: dict[str, Any] = dict(inputs)
        for key, name in known.items():
            if name in program.variables:
                shape = (steps, batch, program.variables[name].value.size)
                signal = found.get(key)
                given[name] = torch.zeros(shape, dtype=values.dtype) if signal is None else signal
        checked = Inputs(values, given, steps, batch, state)
        now = copied(state) | {"draws": state["draws"].copy()}
        for key in checked.driven:
            if key in program.variables and key not in now:
                now[key] = values.in_trials(key, batch).clone()
        return self.engine(model).run(values, checked, now, {}).state

    def take(self, model: Mirror, state: State) -> None:
        """Add the gradients that a state has gathered to those of the parameters; clear them."""
        for parameter, totals in self.found.totals.items():
            present = model.present(parameter)
            for total in totals:
                gradient = _gathered(state, total, present).to(present)
                present.backward(gradient, retain_graph=True)


def _gathered(state: State, total: Total, like: Tensor) -> Tensor:
    """What a variable has gathered of a gradient; it starts again from zero."""
    found: Tensor = state[total.key].sum(0)
    state[total.key] = torch.zeros_like(state[total.key])
    if total.origin is None or like.dim() == 0:
        return found.sum().expand(like.shape)
    made = found.new_zeros(like.numel())
    return made.index_add(0, torch.from_numpy(total.origin).to(found.device), found).view(
        like.shape
    )


def own_state(model: Mirror, state: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a state that is the network's own."""
    program = model.program
    events = {f"{n}.{e}" for n, g in program.groups.items() for e in g.events}
    names = {*program.written(), *events, *(f"{p}.history" for p in program.pathways)}
    return {key: value for key, value in state.items() if key in names | {"step", "draws"}}


def signals(leaves: Recording) -> dict[str, Tensor]:
    """Derivatives of a loss by what it read, "time batch element".

    Arguments:
        leaves: A recording as leaves, after a backward pass.

    Raises:
        GradientError: The loss reads the state at the end, of which there is no signal.
    """
    for key, value in leaves.state.items():
        held = value.spikes if isinstance(value, Events) else value
        if isinstance(held, Tensor) and held.grad is not None:
            raise GradientError(
                f"an online rule: the loss reads recording.state[{key!r}], and signals belong to"
                f" recorded values. Write record=[{key!r}] in the task, and read"
                f" recording[{key!r}][-1]."
            )
    spikes = {f"{name}.spike": x for name, x in leaves.spikes.items()}
    both = {**spikes, **leaves.traces}
    return {key: x.grad for key, x in both.items() if x.grad is not None}


def spike_slopes(model: Mirror) -> dict[str, SpikeSlope]:
    """What stands for the derivatives of spikes, as data."""
    sizes = {name: group.size for name, group in model.program.groups.items()}
    return {
        event: _slope(event, made, sizes[event.partition(".")[0]])
        for event, made in model.gradients.items()
    }


def _slope(event: str, made: SpikeGradient, size: int) -> SpikeSlope:
    ones = np.ones(size)
    if made.unit is None:
        return SpikeSlope("", ones, ones, made.follows_reset, ones)
    if made.width is None:
        return SpikeSlope("1", ones, ones, made.follows_reset, ones, lacks=_lack(event, made))
    width, gain = _array(made.width, size), _array(made.gain, size)
    if made.reset is None:
        return SpikeSlope(made.surrogate.formula, width, gain / width, made.follows_reset, ones)
    reset = made.reset
    if made.needs_speed:
        leak = reset.leak.clamp(min=NO_LEAK)
        least = torch.where(leak > NO_LEAK, LEAST_SPEED, 1 / NO_LEAK)
        parts = (_array(x, size) for x in (reset.depth, leak, least, reset.held))
        pause, rise = Pause(*parts), _rise(made, reset, size)
        return SpikeSlope(made.surrogate.formula, width, gain / width, True, ones, pause, rise)
    _, share = made.passage(torch.zeros(1, size).double(), torch.zeros(1, size).double())
    depth = _array(share, size)
    return SpikeSlope(made.surrogate.formula, width, gain / width / depth, True, depth)


def _rise(made: SpikeGradient, reset: ResetDepth, size: int) -> Rise | None:
    """The upstroke of a group, if it has one."""
    up = reset.upstroke
    if up is None:
        return None
    return Rise(
        below=_array(up.begins / reset.rate, size), begins=_array(up.begins, size),
        least=_array(up.least, size), decides=_array(up.decides, size),
        span=_array(up.span, size), relative=_table(up.relative), depths=_table(up.depths),
        turns=_table(up.turns), peak=made.surrogate.peak, per_octave=PER_OCTAVE,
    )  # fmt: skip


def _lack(event: str, made: SpikeGradient) -> str:
    """Why the spikes of a group have no derivative."""
    try:
        made.require_width(event.partition(".")[0])
    except GradientError as error:
        return str(error)
    return ""


def _table(x: Tensor) -> Array:
    return x.double().cpu().numpy()


def _array(x: Any, size: int) -> Array:
    return np.broadcast_to(torch.as_tensor(x, dtype=torch.float64).cpu().numpy().reshape(-1),
                           (size,)).copy()  # fmt: skip


def traced(
    model: Mirror,
    read: Iterable[str],
    feedback: Mapping[str, Array] | Literal["exact", "symmetric"] = "exact",
    kept: float = 1.0,
    driven: Iterable[str] = (),
) -> Traced:
    """The network of a model with its traces; the same for the same model.

    Arguments:
        model: A mirror.
        read: What a loss reads: recorded variables, and spikes as "cells.spike".
        feedback, kept: See `eligibility`.
        driven: Names of the inputs of a run: variables, and groups whose spikes are given.
    """
    wanted, given = tuple(sorted(read)), _inputs(driven)
    name = feedback if isinstance(feedback, str) else tuple(
        (key, value.tobytes()) for key, value in feedback.items()
    )  # fmt: skip
    return _kept(
        model, (wanted, name, kept, given),
        lambda: eligibility(model.program, list(model.keys), wanted, spike_slopes(model), feedback,
                            kept, given),
    )  # fmt: skip


def traced_by_sender(
    model: Mirror, read: Iterable[str], rule: str, through: bool, driven: Iterable[str] = ()
) -> Traced:
    """The network of a model with one trace for each neuron that sends; likewise.

    Arguments:
        model, read, driven: As in `traced`.
        rule, through: See `senders`.
    """
    wanted, given = tuple(sorted(read)), _inputs(driven)
    return _kept(
        model, (wanted, rule, through, given),
        lambda: senders(model.program, list(model.keys), wanted, spike_slopes(model), rule,
                        through, given),
    )  # fmt: skip


def _inputs(driven: Iterable[str]) -> tuple[str, ...]:
    """Keys of what inputs set."""
    return tuple(sorted(key if "." in key else f"{key}.spike" for key in driven))


def _kept(model: Mirror, name: Any, make: Callable[[], Eligibility]) -> Traced:
    """A network with traces, made once."""
    known = _KEPT.setdefault(model, {})
    if name not in known:
        known[name] = Traced(make())
    return known[name]
