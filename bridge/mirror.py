"""Mirror: a Brian2 network as a torch module."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from copy import deepcopy
from typing import Any, Literal, Self, cast

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from mirrorneuron._arrays import require_finite
from mirrorneuron._callers import callers_names
from mirrorneuron.errors import (
    DomainError,
    GradientWarning,
    NumericalError,
    ShapeError,
    UnknownName,
    Unsupported,
)
from mirrorneuron.units import Dimensions, si

from ._contracts import Surrogate
from .backends.eager import Eager, Step, compile_program
from .check import check, require_positive, require_trainable, time_constants
from .context import Context, Draws, State
from .event import Events, Fanout, copied
from .function import Functions
from .holder import Held, Holder
from .live import Live
from .margin import MARGIN
from .nudge import Nudge
from .parameter import Free, Limit, Positive
from .program import Program, Slot, Table, Variable
from .recording import Recording, Spikes
from .report import Report
from .reset_depth import GRID, reset_depth
from .script import script_names
from .spike_gradient import ResetGradient, SpikeGradient, spike_gradient
from .surrogates import Gaussian
from .tie import Tied, key_of, members, require_trained_once
from .written import Written

Inputs = Mapping[str, Any]
Train = Sequence[str | Tied] | Mapping[str, Limit] | Mapping[str | Tied, Limit]
Record = Sequence[str] | Mapping[str, Sequence[int] | None]
CHUNK = 100
TIME = Dimensions(s=1.0)


def mirror(
    network: Any,
    train: Train = (),
    surrogate: Surrogate | Mapping[str, Surrogate] | None = None,
    reset_gradient: ResetGradient = "auto",
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    backend: Literal["auto", "eager"] = "auto",
    strict: bool = True,
    namespace: Mapping[str, Any] | None = None,
) -> "Mirror":
    """Mirror a Brian2 network into a differentiable torch module.

    Arguments:
        network: Any Brian2 `Network`. It is not changed, and need not have been run.
        train: What becomes a parameter. By "object.variable": a weight ("ee.w"), a neuron's
            parameter or initial value ("cells.tau"), a constant as one object uses it, or the
            weight of a PoissonInput ("poissoninput.weight"). By its bare name ("tau_e"): a constant
            of the script, one parameter for all objects that use it. `mn.Tied("g.tau", "h.tau")`
            makes one parameter of several. A mapping also gives limits:
            `{"ee.w": mn.Bounded(0*nS, 5*nS)}`. Without, a time constant by which equations divide
            stays positive, and everything else is free.
        surrogate: Stands in for the derivative of a spike, for all groups or by name, by default
            `Gaussian()`. Without a width, each neuron gets the one that follows from its own
            threshold and reset; a width that is given has the unit of the threshold's variable.
        reset_gradient: Whether the gradient of a spike passes through the reset that it causes:
            "surrogate", "detach", or "auto", which follows it where that is stable and warns
            where it is not. Detached, the gradients of ordinary networks at a step of 0.1 ms are
            wrong by many orders of magnitude.
        dtype: `torch.float32` for training; `torch.float64` for values that are Brian2's to the
            last bit, sums and transcendental functions included (on a CPU).
        device: Where to run.
        backend: "eager", or "auto" for the fastest that covers the network.
        strict: Whether an unsupported feature is an error; else it is left out and listed in
            `model.report`.
        namespace: Names for equations whose group has no namespace, by default the caller's.

    Returns:
        The mirror.

    Raises:
        UnsupportedFeature: Lists everything that cannot be mirrored.
        UnknownName: `train` or `surrogate` names an object or variable that does not exist.
        UnitError: The width of a surrogate has another unit than the threshold.
        DomainError: A value is NaN, a time constant is not positive, a delay is negative; what
            shall be one parameter has several values.
        ShapeError: What shall be one parameter has different numbers of elements.
        GradientError: No gradient reaches what shall be trained.
    """
    from .read import read  # brings brian2, which a loaded mirror does without

    if backend not in ("auto", "eager"):
        raise UnknownName.among(f"mirror(net, backend={backend!r})", backend, ["auto", "eager"])
    modes = ("auto", "detach", "surrogate")
    if reset_gradient not in modes:
        raise UnknownName.among(
            f"mirror(net, reset_gradient={reset_gradient!r})", reset_gradient, modes
        )
    names = callers_names() if namespace is None else namespace
    program, unsupported = read(network, names, strict)
    check(program)
    times = time_constants(program)
    limits: dict[str | Tied, Limit] = {}
    if isinstance(train, Mapping):
        limits.update(train)
    for asked in train:
        require_trainable(program, asked)
        limits.setdefault(asked, _default(members(program, asked), times))
    made = Mirror(
        program,
        limits,
        _surrogates(program, surrogate),
        reset_gradient,
        dtype,
        torch.device(device),
        unsupported,
        network,
    )
    made.script = script_names(program, made.members, names, network)
    return made


def _default(keys: Sequence[str], times: Mapping[str, Any]) -> Limit:
    """Limit of a parameter for which none is given."""
    return Positive() if set(keys) & set(times) else Free()


def _surrogates(program: Program, given: Any) -> dict[str, Surrogate]:
    """Surrogate of each group with a threshold."""
    comparing = [s.owner for s in program.slots if s.kind == "threshold" and s.margin is not None]
    if given is None or isinstance(given, Surrogate):
        return dict.fromkeys(comparing, given or Gaussian())
    if not isinstance(given, Mapping):
        raise DomainError(
            f"mirror(net, surrogate={given!r}): that is no surrogate. Write"
            " surrogate=mn.Gaussian(), or one for each group by its name."
        )
    for name in given:
        if name not in comparing:
            raise UnknownName.among(f"mirror(net, surrogate={{{name!r}: ...}})", name, comparing)
    return dict.fromkeys(comparing, Gaussian()) | dict(cast(Mapping[str, Surrogate], given))


class Mirror(Holder):
    """A Program that runs in torch, with gradients.

    Made by `mirror`. `parameter` and `state_dict` have the names and values of the Brian2
    variables, in SI units; what `parameters()` gives to an optimiser are the same ones at size one,
    so that a step of 0.01 moves each by about 1 %. Limits hold whenever a value is read.
    There is no hidden state: a run starts from the state it is given, or from the network's.
    """

    def __init__(
        self,
        program: Program,
        train: Mapping[str, Limit] | Mapping[str | Tied, Limit],
        surrogates: Mapping[str, Surrogate],
        reset_gradient: ResetGradient,
        dtype: torch.dtype,
        device: torch.device,
        unsupported: Sequence[Unsupported],
        source: Any = None,
    ) -> None:
        super().__init__()
        self.program = program
        self.limits = {key_of(asked): limit for asked, limit in train.items()}
        self.members = {key_of(asked): members(program, asked) for asked in train}
        require_trained_once(self.members)
        self.keys = {member: key for key, group in self.members.items() for member in group}
        self.names = {name: key_of(a) for a in train if isinstance(a, Tied) for name in a.names}
        self.times = sorted(set(time_constants(program)) & set(self.keys))
        self.unsupported = tuple(unsupported)
        self.network = source
        self.script: Mapping[str, str] = {}
        self._dtype, self._device = dtype, device
        self.gradients: dict[str, SpikeGradient] = {}
        self._codes: dict[tuple[frozenset[str], tuple[str, ...] | None], Eager] = {}
        self.trained = {key: self._hold(key) for key in self.limits}
        self.gradients = dict(self._gradients(surrogates, reset_gradient))

    # ---- parameters

    def _hold(self, key: str) -> Held:
        """Make a parameter of a variable or constant."""
        owner, _, name = key.rpartition(".")
        if owner and owner not in self._modules:
            self._modules[owner] = Holder()
        holder = cast(Holder, self._modules[owner]) if owner else self
        value = self._tensor(self.program.initial(self.members[key][0]))
        return holder.hold(key, name, value, self.limits[key], self.unit(key))

    def parameter(self, key: str) -> Live:
        """A trained variable, in SI units.

        Its `grad` is the gradient with respect to the value in SI units. Under `torch.no_grad()` it
        can be changed in place, which changes the model.

        Raises:
            UnknownName: The variable is not trained.
        """
        found = self.keys.get(key, self.names.get(key, key))
        if found not in self.trained:
            raise UnknownName.among(f"parameter({key!r})", key, {**self.limits, **self.keys})
        return Live.of(self.trained[found])

    def present(self, member: str) -> Tensor:
        """Value of a trained variable or constant of one object, in SI units and in its shape."""
        value = self.trained[self.keys[member]].read()
        return value.reshape(np.shape(self.program.initial(member)))

    def parameter_groups(self, lr: float = 1e-2) -> list[dict[str, Any]]:
        """Groups for an optimiser, one for each parameter, with its name."""
        return [{"params": [held.raw], "lr": lr, "name": key} for key, held in self.trained.items()]

    def project_(self) -> None:
        """Move parameters back into their limits."""
        for held in self.trained.values():
            held.stay_within()

    def project_gradients_(self) -> None:
        """Set gradients to zero where descent would leave the limits.

        A line search, as that of L-BFGS, otherwise expects the loss to fall beyond a border.
        """
        for held in self.trained.values():
            held.drop_outward_gradient()

    def unit(self, key: str) -> Dimensions:
        """Dimensions of a variable, subexpression or trained constant."""
        value = self.program.values.get(key)
        if value is not None and value.unit is not None:
            return value.unit
        return self.program.unit(self.members.get(key, (key,))[0])

    # ---- copies

    def __getstate__(self) -> dict[str, Any]:
        """What a file needs: no Brian2 network, and no code, which is made anew when needed."""
        return {**self.__dict__, "network": None, "_codes": {}}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Mirror":
        """A mirror of the same network, with parameters of its own."""
        made = type(self).__new__(type(self))
        memo[id(self)], memo[id(self.program)] = made, self.program
        made.__setstate__(deepcopy(self.__getstate__(), memo))
        made.network, made._codes = self.network, dict(self._codes)
        return made

    # ---- running

    @property
    def exact(self) -> bool:
        """Whether values are those of Brian2's numpy target to the last bit."""
        return self.dtype == torch.float64 and self.device.type == "cpu"

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""
        return next((p.dtype for p in self.parameters()), self._dtype)

    @property
    def device(self) -> torch.device:
        """Where the values live."""
        return next((p.device for p in self.parameters()), self._device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        probe = fn(torch.zeros(0, dtype=self._dtype, device=self._device))
        self._dtype, self._device = probe.dtype, probe.device
        return super()._apply(fn, recurse)

    @property
    def report(self) -> Report:
        """What each Brian2 object became."""
        gradients = {key.partition(".")[0]: str(made) for key, made in self.gradients.items()}
        trained = {member: self._says(member) for member in self.keys}
        return Report(self.program, trained, self.unsupported, gradients)

    def _says(self, member: str) -> str:
        """What the report says of what is trained."""
        key, name = self.keys[member], member.partition(".")[2]
        others = [other for other in self.members[key] if other != member]
        tied = f", one with {', '.join(others)}" if others else ""
        return f"{name} ({self.limits[key]}{tied})"

    def _gradients(
        self, surrogates: Mapping[str, Surrogate], mode: ResetGradient
    ) -> Iterator[tuple[str, SpikeGradient]]:
        """What stands for the derivative of each event."""
        advance = Stepper(self, {}, self.program.step)
        state = self.initial_state(GRID)
        for slot in self.program.slots:
            if slot.kind == "threshold" and slot.event is not None:
                depth = reset_depth(
                    advance.context, advance.early + advance.late, advance.fixed, state, slot.event
                )
                surrogate = surrogates.get(slot.owner, Gaussian())
                made = spike_gradient(surrogate, _width(slot, surrogate), slot.margin, depth, mode)
                if made.unstable:
                    warnings.warn(
                        f"mirror(net): the gradient of {slot.owner!r} does not pass through its"
                        f" resets: {made.unstable}. Leave the width out, and it follows from the"
                        " model, or write reset_gradient='detach'.",
                        GradientWarning,
                        stacklevel=4,
                    )
                yield slot.event, made

    def forward(self, inputs: Inputs | None = None, state: State | None = None) -> Recording:
        """Run for as long as the inputs last.

        Arguments:
            inputs: Key to "time batch neuron"; at least one.
            state: As in `run`.

        Raises:
            ShapeError: There are no inputs, so that nothing says for how long to run.
        """
        if not inputs:
            raise ShapeError(
                "model(inputs): no input was given, so nothing says for how long to run."
                " Write model.run(100*ms)."
            )
        steps = len(next(iter(inputs.values())))
        return self.run_steps(steps, inputs, state=state)

    def run(
        self,
        duration: Any,
        inputs: Inputs | None = None,
        batch_size: int | None = None,
        state: Mapping[str, Any] | None = None,
        record: Record = (),
        report: Literal["text"] | None = None,
        seed: int | None = None,
        batch_first: bool = False,
    ) -> Recording:
        """Run the network.

        Arguments:
            duration: How long, a Quantity [s].
            inputs: Sets a spiking group ("stimulus", spikes 0 or 1), a variable ("cells.I", SI
                floats or a Quantity) or a TimedArray ("sound") at each step; "time batch neuron",
                or "time neuron" for what all trials share. `mn.Nudge(trace, 1*ms)` pulls a
                variable towards a trace.
            batch_size: Number of trials; by default that of the inputs or state, else 1.
            state: Where to start: `recording.state`, or `initial_state()` (the default).
            record: Variables or subexpressions to record, `["cells.v", "cells.I_syn"]`, or of which
                elements, `{"cells.v": [0, 5]}` (None: of all); spikes are always recorded.
                "cells.spike.margin" is the distance to threshold when that is tested in a step.
            report: "text" shows progress.
            seed: Seed of the random numbers. The first trial draws what Brian2's numpy target
                draws after `brian2.seed(seed)`.
            batch_first: Whether inputs are "batch time neuron".

        Returns:
            What was recorded.

        Raises:
            UnitError: The duration is no time, or an input has the wrong unit.
            UnknownName: An input or recorded variable does not exist.
            ShapeError: An input has the wrong shape.
            DomainError: An input is not finite, or a spike is neither 0 nor 1.
            NumericalError: A value became NaN or infinite during the run.
        """
        steps = self.steps(duration)
        given = dict(inputs or {})
        if batch_first:
            given = {k: _time_first(v) for k, v in given.items()}
        return self.run_steps(steps, given, batch_size, state, record, report, seed)

    def initial_state(self, batch_size: int = 1) -> State:
        """State of the network as it was read, with the present parameters."""
        state: State = {"step": self.program.step}
        shape: dict[str, tuple[int, ...]] = {}
        for key in self._state_keys(frozenset()):
            variable = self.program.variables[key]
            value = self._value(key).reshape(1, -1)
            shape[key] = (batch_size, value.shape[1])
            state[key] = value.expand(shape[key]).to(_dtype(variable, self.dtype))
        for name, group in self.program.groups.items():
            for event in group.events:
                state[f"{name}.{event}"] = self._silent(name, batch_size)
        for name in self.program.pathways:
            state[f"{name}.history"] = self._history(name, batch_size)
        return state

    def _silent(self, group: str, batch_size: int) -> Events:
        """No event at all."""
        shape = (batch_size, self.program.groups[group].size)
        return Events.of(torch.zeros(shape, dtype=self.dtype, device=self.device))

    def steps(self, duration: Any) -> int:
        """Number of time steps in a duration.

        Raises:
            UnitError: It is no time.
            DomainError: It is negative or infinite.
        """
        seconds = float(si(duration, TIME, "the duration of run(...)"))
        if not (np.isfinite(seconds) and seconds >= 0):
            raise DomainError(
                f"run({duration}): a duration cannot be negative or infinite. Write, say, 100*ms."
            )
        return round(seconds / self.program.dt)

    def _history(self, pathway: str, batch_size: int) -> tuple[Events, ...]:
        """Events on their way at the start, newest first."""
        path = self.program.pathways[pathway]
        past = np.zeros((path.max_delay, path.n_sources))
        for step, synapse in path.pending:
            past[path.delay[synapse] - step - 1, path.source[synapse]] = 1
        rows = torch.from_numpy(past).to(self.device, self.dtype)
        return tuple(Events.of(row.expand(batch_size, -1)) for row in rows)

    def _tensor(self, value: Any) -> Tensor:
        x = torch.as_tensor(np.array(value), device=self._device)
        return x if x.dtype == torch.bool else x.to(self._dtype)

    def _value(self, key: str) -> Tensor:
        if key in self.keys:
            return self.present(key)
        variable = self.program.variables[key]
        x = torch.as_tensor(np.array(variable.value), device=self.device)
        return x.to(_dtype(variable, self.dtype))

    def _state_keys(self, driven: frozenset[str]) -> list[str]:
        changing = self.program.written() | driven
        return [key for key in self.program.variables if key in changing]

    def constants(self, driven: frozenset[str], used: Set[str] | None = None) -> dict[str, Any]:
        """Values of what does not change: tensors, or numbers where one is shared by all."""
        changing = self.program.written() | driven
        values: dict[str, Any] = {}
        for key in (self.program.used() if used is None else used) - changing:
            variable = self.program.variables[key]
            values[key] = variable.value.item() if variable.scalar else self._value(key)
        return values | {key: self.present(key) for key in self.keys if key not in changing}

    def code(
        self, driven: frozenset[str] = frozenset(), values: tuple[str, ...] | None = None
    ) -> Eager:
        """Generated code of a step, or of recorded values; `driven` names what inputs set."""
        key = driven, values
        if key not in self._codes:
            constants = frozenset(k for k in self.keys if k not in self.program.variables)
            slots = None if values is None else [self.program.values[name] for name in values]
            self._codes[key] = compile_program(self.program, driven, constants, slots)
        return self._codes[key]

    def run_steps(
        self,
        steps: int,
        inputs: Inputs | None = None,
        batch_size: int | None = None,
        state: Mapping[str, Any] | None = None,
        record: Record = (),
        report: str | None = None,
        seed: int | None = None,
    ) -> Recording:
        """Run for a number of time steps: see `run`."""
        given = Given(self, inputs or {}, steps, batch_size, state)
        chosen = self._recorded(record)
        now = self._begin(given, state, seed)
        first = now["step"]
        margins = [key for key in chosen if _is_margin(key)]
        advance = Stepper(self, given.series, first, margins)
        values = [key for key in chosen if key in self.program.values and not _is_margin(key)]
        probe = Probe(self, values, advance.context)
        traces: dict[str, list[Tensor]] = {key: [] for key in chosen}
        events: dict[str, list[Events]] = {name: [] for name in self.program.spiking()}
        pace = {name: self.program.every(f"{name}.spike") for name in events}
        silent = {name: self._silent(name, given.batch_size) for name in events}
        grad = torch.is_grad_enabled()
        for k in tqdm(range(steps), disable=report is None, desc="mirror", unit="step"):
            given.set(now, k)
            advance.begin(now)
            computed = probe(now)
            for key, trace in traces.items():
                if key in advance.watched:
                    continue
                value = computed[key] if key in computed else now.get(key)
                value = self._fixed(key, given.batch_size) if value is None else value
                index = chosen[key]
                value = value if index is None else value[:, index]
                trace.append(value if grad or index is not None else value.clone())
            advance.finish(now)
            for key in margins:
                value, index = advance.margin(key), chosen[key]
                traces[key].append(value if index is None else value[:, index])
            for name, seen in events.items():
                raised = (first + k) % pace[name] == 0
                seen.append(now[f"{name}.spike"] if raised else silent[name])
            if k % CHUNK == CHUNK - 1 or k == steps - 1:
                self._require_finite(now, k)
        sizes = {n: (given.batch_size, self.program.groups[n].size) for n in events}
        return Recording(
            dt=self.program.dt,
            first=first,
            steps=steps,
            spikes=Spikes(events, sizes),
            traces={
                key: torch.stack(trace) if trace else self._nothing(key, chosen[key], given)
                for key, trace in traces.items()
            },
            state=now,
            units={key: self.unit(key) for key in traces},
        )

    def _begin(self, given: "Given", state: Mapping[str, Any] | None, seed: int | None) -> State:
        now = dict(state) if state is not None else self.initial_state(given.batch_size)
        fresh = seed is not None or "draws" not in now
        now["draws"] = Draws(seed, given.batch_size) if fresh else now["draws"].copy()
        for key in given.driven:
            if key in self.program.variables and key not in now:
                now[key] = self._fixed(key, given.batch_size)
        if not torch.is_grad_enabled():
            now = copied(now)
        return now

    def _fixed(self, key: str, batch_size: int) -> Tensor:
        return self._value(key).reshape(1, -1).expand(batch_size, -1)

    def _nothing(self, key: str, index: Tensor | None, given: "Given") -> Tensor:
        """The trace of a run without steps."""
        width = self._size(key) if index is None else len(index)
        return torch.zeros(0, given.batch_size, width, dtype=self.dtype, device=self.device)

    def _size(self, key: str) -> int:
        """Number of elements of a variable or subexpression."""
        values, variables = self.program.values, self.program.variables
        return values[key].size if key in values else variables[key].value.size

    def _recorded(self, record: Record) -> dict[str, Tensor | None]:
        """What to record, and of which elements."""
        known = {**self.program.variables, **self.program.values}
        wanted = record if isinstance(record, Mapping) else dict.fromkeys(record)
        chosen: dict[str, Tensor | None] = {}
        for key, index in wanted.items():
            if key not in known:
                raise UnknownName.among(f"run(record=[{key!r}])", key, known)
            chosen[key] = None if index is None else self._elements(key, index)
        return chosen

    def _elements(self, key: str, index: Sequence[int]) -> Tensor:
        array, size = np.asarray(index), self._size(key)
        whole = array.ndim == 1 and (array.dtype.kind in "iu" or not array.size)
        if not whole or not np.all((array >= -size) & (array < size)):
            raise ShapeError(
                f"run(record={{{key!r}: {index!r}}}): elements are chosen by a list of whole"
                f" numbers from 0 to {size - 1}, as {key} has {size}. Write, say, {{{key!r}: [0]}}."
            )
        return torch.from_numpy(array.astype(np.int64)).to(self.device)

    def _require_finite(self, state: State, k: int) -> None:
        for key, value in state.items():
            if not isinstance(value, Tensor) or bool(torch.isfinite(value).all()):
                continue
            trial, element = (int(i) for i in torch.nonzero(~torch.isfinite(value))[0])
            first = max(0, k + 1 - CHUNK)
            low, high = (x * self.program.dt * 1e3 for x in (first, k + 1))
            raise NumericalError(
                f"run(...): {key} of element {element} (trial {trial}) became"
                f" {value[trial, element].item()} between {low:g} and {high:g} ms after the start"
                f" (steps {first} to {k}). The integrator left its range of stability, or an"
                " expression was divided by zero. Lower dt, or use another method."
            )

    def write_back(self, network: Any = None) -> Written:
        """Write the trained values into the Brian2 objects.

        Arguments:
            network: By default the network that was mirrored. Another one with the same objects
                works as well; synapses are found by their edge (i, j, k), in whatever order
                they were made.

        Returns:
            Keys of what was written, and the names of the script that still have another value:
            print it, or see its `stale`.

        Raises:
            UnknownName: The network lacks an object or variable.
            UnitError: A variable has another unit there.
            WriteBackError: A group has another size, or synapses connect other neurons. Nothing
                has been written then.
        """
        from .write_back import stale, write_back  # brings brian2

        values = {k: self.present(k).detach().cpu().double().numpy() for k in self.keys}
        write_back(self.program, values, self.network if network is None else network)
        return Written(self.limits, stale(self.program, values, self.script))

    def extra_repr(self) -> str:
        """Summary for `print(model)`."""
        spiking = sum(self.program.groups[n].size for n in self.program.spiking())
        return f"{spiking} spiking elements, dt = {self.program.dt * 1e3:g} ms, {self.dtype}"


class Stepper:
    """Takes a state one time step further, in place.

    Arguments:
        model: Its parameters are read now.
        inputs: Key to one tensor a step, "batch neuron".
        first: Step count at which the inputs start.
        margins: Distances to threshold to be kept, "cells.spike.margin".

    Raises:
        DomainError: A trained time constant is no longer positive.
    """

    def __init__(
        self,
        model: Mirror,
        inputs: Mapping[str, tuple[Tensor, ...]],
        first: int,
        margins: Sequence[str] = (),
    ) -> None:
        require_positive({key: model.present(key).detach().cpu() for key in model.times})
        driven, device = frozenset(inputs), model.device
        code = model.code(driven)
        self.context = Context(
            program=model.program,
            f=Functions(model.dtype, device, model.exact),
            gradients={k: g.to(model.dtype, device) for k, g in model.gradients.items()},
            crossings=code.crossings,
            resets=code.resets,
            indices={k: torch.from_numpy(v).to(device) for k, v in model.program.indices.items()},
            fanouts={k: Fanout(p, device) for k, p in model.program.pathways.items()},
            draws=Draws(0, 0),
            inputs=inputs,
            first=first,
        )
        self.fixed = code.prelude(model.constants(driven), self.context)
        self.found: dict[str, Tensor] = {}
        self.watched = {key: Probe(model, [key], self.context) for key in margins}
        slots = model.program.slots
        steps = [(s, self._watch(s, run)) for s, run in zip(slots, code.slots, strict=True)]
        self.early, self.late = steps[: model.program.early], steps[model.program.early :]

    def _watch(self, slot: Slot, run: Step) -> Step:
        """The step of a slot; that of a threshold keeps the margin that it meets, where asked."""
        probe = self.watched.get(f"{slot.event}{MARGIN}")
        if slot.kind != "threshold" or probe is None:
            return run

        def watched(state: State, fixed: list[Any], context: Any) -> None:
            self.found |= probe(state)
            run(state, fixed, context)

        return watched

    def margin(self, key: str) -> Tensor:
        """Distance to threshold in this step, "batch neuron"; minus infinity if it was not tested.

        Arguments:
            key: One of those to be kept.
        """
        if key in self.found:
            return self.found[key]
        shape = (self.context.batch_size, self.watched[key].slots[key].size)
        f = self.context.f
        return torch.full(shape, -torch.inf, dtype=f.dtype, device=f.device)

    def __call__(self, state: State) -> None:
        """Execute all slots once."""
        self.begin(state)
        self.finish(state)

    def begin(self, state: State) -> None:
        """Execute the slots before the place where a StateMonitor records."""
        self.context.draws, self.context.tick = state["draws"], state["step"]
        self.found.clear()
        if self.early:
            self._execute(self.early, state)

    def finish(self, state: State) -> None:
        """Execute the others."""
        self._execute(self.late, state)
        state["step"] += 1

    def _execute(self, slots: list[tuple[Slot, Step]], state: State) -> None:
        context, step = self.context, state["step"]
        with np.errstate(all="ignore"):  # the state is checked for what is not finite
            for slot, run in slots:
                if step % slot.every == 0:
                    context.clock(step, slot.clock_dt)
                    run(state, self.fixed, context)


class Probe:
    """Computes subexpressions from a state.

    Arguments:
        model: Its parameters are read now.
        keys: What to compute.
        context: That of the steps between which it is computed.
    """

    def __init__(self, model: Mirror, keys: Sequence[str], context: Context) -> None:
        self.slots = {key: model.program.values[key] for key in keys}
        self.context, driven = context, frozenset(context.inputs)
        code = model.code(driven, tuple(keys))
        self.functions = dict(zip(self.slots, code.slots, strict=True))
        slots = self.slots.values()
        used = {ref.variable for slot in slots for ref in slot.refs.values()}
        self.fixed = code.prelude(model.constants(driven, used), context)

    def __call__(self, state: State) -> dict[str, Tensor]:
        """Values in the present step, "batch element"."""
        context, step = self.context, state["step"]
        found: dict[str, Tensor] = {}
        with np.errstate(all="ignore"):
            for key, slot in self.slots.items():
                context.clock(step, slot.clock_dt)
                value = self.functions[key](state, self.fixed, context)
                shape = (context.batch_size, slot.size)
                found[key] = context.f.tensor(value).to(context.f.dtype).expand(shape)
        return found


class Given:
    """Inputs of a run, checked: see `Mirror.run`."""

    def __init__(
        self,
        model: Mirror,
        inputs: Inputs,
        steps: int,
        batch_size: int | None,
        state: Mapping[str, Any] | None,
    ) -> None:
        self.model, self.steps = model, steps
        targets = {name: self._target(name) for name in inputs}
        arrays = {name: self._array(name, targets[name], inputs[name]) for name in inputs}
        self.batch_size = self._batch(arrays, batch_size, state)
        self.series = {
            targets[name][0]: x.expand(steps, self.batch_size, -1).unbind(0)
            for name, x in arrays.items()
        }
        self.driven = frozenset(self.series)
        self.variables = [k for k in self.series if k in model.program.variables]
        nudged = {name: x for name, x in inputs.items() if isinstance(x, Nudge)}
        self.gains = {targets[name][0]: self._gain(name, x) for name, x in nudged.items()}

    def set(self, state: State, k: int) -> None:
        """Put the variables' values of step k into the state, or pull it towards them."""
        for key in self.variables:
            value = self.series[key][k].to(state[key].dtype)
            gain = self.gains.get(key)
            state[key] = value if gain is None else torch.lerp(state[key], value, gain)

    def _gain(self, name: str, nudge: Nudge) -> float:
        if name not in self.model.program.variables:
            raise DomainError(
                f"run(inputs={{{name!r}: mn.Nudge(...)}}): {name!r} is no variable, and only a"
                " variable can be pulled towards a trace. Name one, 'cells.v', or give the values"
                " themselves."
            )
        return nudge.gain(self.model.program.dt)

    def _target(self, name: str) -> tuple[str, Dimensions, int | None]:
        """Key, unit and size of what an input sets."""
        program = self.model.program
        if name in program.groups and "spike" in program.groups[name].events:
            return f"{name}.spike", Dimensions(), program.groups[name].size
        if name in _tables(program):
            return name, _tables(program)[name].unit, None
        if name in program.variables:
            variable = program.variables[name]
            return name, variable.unit, 1 if variable.scalar else variable.value.size
        known = [*program.spiking(), *_tables(program), *program.variables]
        raise UnknownName.among(f"run(inputs={{{name!r}: ...}})", name, known)

    def _array(self, name: str, target: tuple[str, Dimensions, int | None], value: Any) -> Tensor:
        _, unit, size = target
        what = f"run(inputs={{{name!r}: ...}})"
        value = value.values if isinstance(value, Nudge) else value
        if not isinstance(value, Tensor):
            bare = si(value, unit, what) if hasattr(value, "dim") else np.asarray(value)
            value = torch.from_numpy(np.array(bare, dtype=float))
        x = value.to(self.model.device, self.model.dtype)
        plain = x.detach().cpu().numpy()
        require_finite(plain, what)
        if target[0].endswith(".spike"):
            _require_spikes(plain, what)
        if x.dim() == 2:
            x = x[:, None, :]
        expected = "number of values" if size is None else size
        if x.dim() != 3 or len(x) != self.steps or size not in (None, x.shape[2]):
            raise ShapeError(
                f"{what}: the shape is {tuple(value.shape)}, expected (time, batch, neuron) ="
                f" ({self.steps}, any, {expected}). The run takes {self.steps} steps of"
                f" {self.model.program.dt * 1e3:g} ms. Give one row for each step, or"
                " batch_first=True for (batch, time, neuron)."
            )
        return x

    def _batch(
        self, arrays: Mapping[str, Tensor], wanted: int | None, state: Mapping[str, Any] | None
    ) -> int:
        sizes = {name: x.shape[1] for name, x in arrays.items() if x.shape[1] != 1}
        if state is not None:
            held = [v.spikes for v in state.values() if isinstance(v, Events)]
            held += [v for v in state.values() if isinstance(v, Tensor)]
            sizes |= {"state": held[0].shape[0]} if held else {}
        if wanted is not None:
            sizes |= {"batch_size": wanted}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name}: {size}" for name, size in sizes.items())
            raise ShapeError(
                f"run(...): the numbers of trials differ ({listed}). All inputs and the state"
                " belong to the same trials. Give each the same batch axis, or 1."
            )
        size = next(iter(sizes.values()), 1)
        if size < 1:
            raise ShapeError("run(batch_size=0): there is no trial to run. Write batch_size=1.")
        return size


def _is_margin(key: str) -> bool:
    """Whether a recorded value is a distance to threshold: no name of Brian2's has two dots."""
    return key.count(".") == 2 and key.endswith(MARGIN)


def _tables(program: Program) -> dict[str, Table]:
    """TimedArrays by their own names."""
    return {table.name: table for table in program.tables.values()}


def _dtype(variable: Variable, dtype: torch.dtype) -> torch.dtype:
    """Type of a variable's values: times stay in double precision, so that steps can be counted,
    and what Brian2 keeps in single precision is rounded as there."""
    if variable.kind == "boolean":
        return torch.bool
    if variable.single:
        return torch.float32
    return torch.float64 if variable.name in ("lastspike", "lastupdate") else dtype


def _time_first(x: Any) -> Any:
    """An input "batch time neuron" as "time batch neuron"; what all trials share as it is."""
    if x.ndim != 3:
        return x
    return x.transpose(0, 1) if isinstance(x, Tensor) else np.swapaxes(x, 0, 1)


def _require_spikes(values: Any, what: str) -> None:
    wrong = np.argwhere((values != 0) & (values != 1))
    if len(wrong):
        first = tuple(int(k) for k in wrong[0])
        raise DomainError(
            f"{what} is {values[first]:g} at index {', '.join(map(str, first))}. A neuron spikes"
            " in a step (1) or does not (0). Give a rate to a PoissonGroup, or a current to a"
            " variable."
        )


def _width(threshold: Slot, surrogate: Surrogate) -> float | None:
    """The width of a surrogate [SI], if it was given."""
    if surrogate.width is None or threshold.margin is None:
        return None
    what = f"the width of the surrogate of {threshold.owner!r}"
    width = float(si(surrogate.width, threshold.margin, what))
    if not 0 < width < np.inf:
        raise DomainError(
            f"{type(surrogate).__name__}(width={surrogate.width}): {what} is not positive."
            " It is the distance to threshold over which a spike is smeared. Leave it out, and it"
            " follows from the model, or write, say, width=1*mV."
        )
    return width
