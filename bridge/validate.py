"""Run a Brian2 network and its mirror side by side.

Free run: both start from the network's present state and go their own way, and what changes is
compared on the way: membranes, synaptic weights, traces. Locked steps: at every step the mirror
starts from Brian2's own state and takes one step, so that an error cannot grow, not even in a
chaotic network.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from brian2 import Clock, Network, NetworkOperation, prefs, second, seed

from mirrorneuron._progress import progress_bar

from .backends.eager.engine import EagerEngine, Stepper
from .draws import Draws
from .mirror import Mirror
from .program import Array, Host, Program, Slot
from .read import read, unmarked
from .spikes import Events, State, copied

SNAPSHOT = "mirrorneuron"
LOOKS = 100


class Train(NamedTuple):
    """Spikes of one group: steps since the start, and indices, in Brian2's order."""

    step: Array
    index: Array  # pyright: ignore[reportIncompatibleMethodOverride]  a tuple's is not used


class Worst(NamedTuple):
    """Largest difference between a mirrored and a Brian2 value, and the step at which it was."""

    error: float
    step: int


@dataclass
class Evidence:
    """What a comparison saw.

    Arguments:
        dt: Time step [s].
        steps: Number of steps.
        sizes: Number of elements of each spiking group.
        precision: Relative rounding error of Brian2's coarsest real numbers.
        brian2, mirror: Spikes in the free run.
        locked: Largest locked-step error of each variable, relative to the largest size of that
            variable in the step; 1 for a truth value that differs, and for a missed spike.
        paths: Largest error of each variable in the free run until the spikes differ, looked at
            a hundred times, and at its end.
    """

    dt: float
    steps: int
    sizes: Mapping[str, int]
    precision: float
    brian2: Mapping[str, Train] = field(default_factory=dict[str, Train])
    mirror: Mapping[str, Train] = field(default_factory=dict[str, Train])
    locked: dict[str, Worst] = field(default_factory=dict[str, Worst])
    paths: dict[str, Worst] = field(default_factory=dict[str, Worst])


def compare(
    network: Network,
    model: Mirror,
    duration: Any,
    namespace: Mapping[str, Any],
    start_seed: int = 0,
    locked: Any = True,
    progress: bool = False,
) -> Evidence:
    """Run both from the network's present state; the network is as before afterwards.

    Arguments:
        network: Brian2 network.
        model: Its mirror, whose parameters are compared as they are (write them back first).
        duration: How long, a Quantity [s].
        namespace: Names for equations whose group has no namespace.
        start_seed: Seed of both sides' random numbers.
        locked: Whether to take locked steps too, or for how long, a Quantity [s].
        progress: Whether to show it.
    """
    double = _double(network, model, namespace)
    steps = double.steps(duration)
    sizes = {name: double.program.groups[name].size for name in double.program.spiking()}
    reals = [v.value.dtype for v in double.program.variables.values() if v.kind == "float"]
    precision = max((float(np.finfo(dtype).eps) for dtype in reals), default=0.0)
    evidence = Evidence(double.program.dt, steps, sizes, precision)
    with torch.no_grad(), unmarked(network.sorted_objects), _undone(network):
        until = (steps if locked else 0) if isinstance(locked, bool) else double.steps(locked)
        bar = progress_bar(total=steps, shown=progress, desc="compare", unit="step")
        observer = _Observer(network, double, evidence, start_seed, until, bar)
        with bar, observer.attached(), _watched(double.program):
            seed(start_seed)
            with _interruptible():
                network.run(duration, namespace=dict(namespace))
            observer.finish()
    return evidence


def _double(network: Network, model: Mirror, namespace: Mapping[str, Any]) -> Mirror:
    """The mirror in double precision, from the network's present state."""
    program, _ = read(network, namespace, strict=False)
    fixed = [key for key in model.keys if key not in program.written()]
    program = _with_values(program, {key: _trained(program, model, key) for key in fixed})
    return Mirror(program, {}, {}, "detach", torch.float64, torch.device("cpu"), ())


def _trained(program: Program, model: Mirror, key: str) -> Array:
    """A parameter in double precision: the network's own value where only rounding differs."""
    present = np.asarray(program.initial(key), dtype=float)
    value = model.present(key).detach().cpu()
    rounded = torch.from_numpy(present).to(value.dtype)
    if value.shape != rounded.shape:
        return value.double().numpy()
    return np.where((value == rounded).numpy(), present, value.double().numpy())


def _with_values(program: Program, values: Mapping[str, Array]) -> Program:
    variables = {
        key: replace(variable, value=values[key]) if key in values else variable
        for key, variable in program.variables.items()
    }
    slots = tuple(_with_constants(slot, values) for slot in program.slots)
    return replace(program, variables=variables, slots=slots)


def _with_constants(slot: Slot, values: Mapping[str, Array]) -> Slot:
    found = {n: float(values[k]) for n in slot.constants if (k := slot.key(n)) in values}
    return replace(slot, constants={**slot.constants, **found})


@contextmanager
def _undone(network: Network) -> Generator[None]:
    """Put the network, its monitors and the random numbers back afterwards."""
    target = prefs.codegen.target
    network.store(SNAPSHOT)
    prefs.codegen.target = "numpy"
    try:
        yield
    finally:
        prefs.codegen.target = target
        network.restore(SNAPSHOT, restore_random_state=True)
        del network._stored_state[SNAPSHOT]  # pyright: ignore[reportPrivateUsage]


@contextmanager
def _interruptible() -> Generator[None]:
    """Make Ctrl-C an exception: Brian2 takes it for the regular end of a run."""
    before = prefs.core.stop_on_keyboard_interrupt
    prefs.core.stop_on_keyboard_interrupt = False
    try:
        yield
    finally:
        prefs.core.stop_on_keyboard_interrupt = before
        Network._globally_running = False  # pyright: ignore[reportPrivateUsage]


@contextmanager
def _watched(program: Program) -> Generator[None]:
    """Have Brian2 run Python between steps, and the mirror take over what it does."""
    own = [slot.run for slot in program.slots_of(Host) if slot.torch is None]
    if not own:
        yield
        return
    with own[0].session.watching():
        yield


class _Observer:
    """Watches every step of a Brian2 run, and repeats it in the mirror.

    Attributes:
        free: State of the mirror that runs on its own.
        predicted: State of the mirror from Brian2's own at the start of a step, and, when Brian2
            has taken it, after that step.
    """

    def __init__(
        self,
        network: Network,
        model: Mirror,
        evidence: Evidence,
        start_seed: int,
        until: int,
        bar: Any,
    ) -> None:
        self.bar = bar
        self.network, self.model, self.evidence, self.until = network, model, evidence, until
        self.step, self.parted = 0, False
        self.predicted: State = model.initial_state()
        self.free: State = {**copied(self.predicted), "draws": Draws(start_seed, 1)}
        code = EagerEngine(model.program, model.trained_constants, model.gradients)
        self.advance = Stepper(code, model.values, {}, model.program.step)
        written = sorted(k for k in model.program.written() if k in model.program.variables)
        self.variables = {key: _variable(network, key) for key in written}
        self.spikes: dict[str, list[tuple[Array, Array]]] = {name: [] for name in evidence.sizes}
        self.pace = {name: model.program.every(f"{name}.spike") for name in evidence.sizes}

    @contextmanager
    def attached(self) -> Generator[None]:
        """Look at the network before and after each step."""
        before = NetworkOperation(lambda: self._before(), when="before_start", order=-(10**6))
        after = NetworkOperation(lambda: self._after(), when="after_end", order=10**6)
        dt, objects = self.model.program.dt, self.network.sorted_objects
        clocks = (obj.clock for obj in objects if float(obj.clock.dt_) == dt)
        clock = next(clocks, None) or Clock(dt * second)
        for operation in (before, after):
            operation._clock = clock  # pyright: ignore[reportPrivateUsage]
            self.network.add(operation)
        try:
            yield
        finally:
            self.network.remove(before, after)

    def finish(self) -> None:
        """Compare the last step, and keep the spikes."""
        if 0 < self.step <= self.until:
            self._compare(self.predicted, self.evidence.locked)
        for name, trains in self.spikes.items():
            true, mine = zip(*trains, strict=True) if trains else ((), ())
            self.evidence.brian2 = {**self.evidence.brian2, name: _train(true)}
            self.evidence.mirror = {**self.evidence.mirror, name: _train(mine)}

    def _before(self) -> None:
        if 0 < self.step <= self.until:
            self._compare(self.predicted, self.evidence.locked)
        for slot in self.model.program.slots_of(Host):
            if slot.torch is None:
                cast(dict[str, Any], slot.run.session.recorded).clear()
        if self.step >= self.until:
            return
        state = dict(self.predicted)
        for key, variable in self.variables.items():
            value = torch.from_numpy(np.array(variable.get_value())).reshape(1, -1)
            state[key] = value.to(self.predicted[key].dtype)
        stream = np.random.RandomState()
        stream.set_state(np.random.get_state())
        state["draws"] = Draws.given(stream)
        self.predicted = state

    def _after(self) -> None:
        if self.step < self.until:
            self.advance(self.predicted)
        self.advance(self.free)
        for name, trains in self.spikes.items():
            if (self.model.program.step + self.step) % self.pace[name] == 0:
                true, mine = _raised(self.network[name], "spike"), self.free[f"{name}.spike"].index
                self.parted |= not np.array_equal(true, mine)
            else:
                true = mine = np.empty(0, np.int64)
            trains.append((true, mine))
        if self.step < self.until:
            self._correct_events()
        self.step += 1
        self.bar.update()
        last = self.step == self.evidence.steps
        if not self.parted and (last or self.step % max(1, self.evidence.steps // LOOKS) == 0):
            self._compare(self.free, self.evidence.paths)

    def _compare(self, state: State, worst: dict[str, Worst]) -> None:
        for key, variable in self.variables.items():
            found = state[key].numpy().reshape(-1)
            error = _difference(found, np.array(variable.get_value()).reshape(-1))
            self._note(worst, key, error, self.step - 1)

    def _correct_events(self) -> None:
        """Replace the mirror's events of this step by Brian2's, wherever they were kept."""
        for name, group in self.model.program.groups.items():
            for event in group.events:
                key = f"{name}.{event}"
                mine: Events = self.predicted[key]
                index = _raised(self.network[name], event)
                same = np.array_equal(mine.index, index)
                self._note(self.evidence.locked, key, 0.0 if same else 1.0, self.step)
                if not same:
                    spikes = torch.zeros_like(mine.spikes)
                    spikes[0, torch.from_numpy(index)] = 1
                    true = Events(spikes, np.zeros(len(index), np.int64), index)
                    self._replace(mine, true)

    def _replace(self, old: Events, new: Events) -> None:
        for key, value in self.predicted.items():
            if value is old:
                self.predicted[key] = new
            elif type(value) is tuple:
                self.predicted[key] = tuple(new if v is old else v for v in value)

    def _note(self, worst: dict[str, Worst], key: str, error: float, step: int) -> None:
        if key not in worst or error > worst[key].error:
            worst[key] = Worst(error, step)


def _train(steps: Sequence[Array]) -> Train:
    step = np.repeat(np.arange(len(steps)), [len(index) for index in steps])
    return Train(step, np.concatenate(steps) if steps else np.empty(0, np.int64))


def _variable(network: Network, key: str) -> Any:
    owner, name = key.split(".", 1)
    return network[owner].variables[name]


def _raised(group: Any, event: str) -> Array:
    space = np.array(group.variables[f"_{event}space"].get_value())
    return space[: space[-1]].astype(np.int64)


def _difference(found: Array, true: Array) -> float:
    """Largest difference, relative to the largest finite size; equal infinities do not differ."""
    if not true.size:
        return 0.0
    if true.dtype == bool:
        return float(np.any(found != true))
    same = (found == true) | (np.isnan(found) & np.isnan(true))
    if np.all(same):
        return 0.0
    with np.errstate(invalid="ignore"):  # what is infinite on both sides is the same
        difference = np.where(same, 0.0, np.abs(found - true))
    finite = np.abs(true[np.isfinite(true)])
    largest, size = float(np.max(difference)), float(np.max(finite, initial=0.0))
    if not np.isfinite(largest):
        return float("inf")
    return largest / size if size else largest
