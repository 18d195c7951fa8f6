"""Mirror: a Brian2 network as a torch module."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Annotated, Any, Literal, NoReturn, Self, cast

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._arguments import OWN_MESSAGE, AboveZero, Count, Seed, checked
from mirrorneuron._callers import callers_names
from mirrorneuron.errors import (
    DomainError,
    MissingDependency,
    ShapeError,
    UnknownName,
    Unsupported,
    WriteBackError,
)
from mirrorneuron.units import Dimensions, quantity, si

from ._contracts import Surrogate
from .backends import backends, chosen_backend, why_not_faster
from .backends._contracts import Demand, Engine
from .backends.eager.engine import EagerEngine
from .bounds import least_memory, may_be_large, require_fits
from .calling import input_names, named_inputs, not_exported, require_no_export
from .check import check, require_positive, require_trainable, time_constants
from .draws import Draws
from .holder import Held, Holder
from .inputs import Inputs, time_first
from .live import Live
from .lower.delays import longest_delay, with_trained_delays
from .parameter import Bounded, Free, Limit, Positive
from .place import device_of, require_type
from .program import Program
from .recording import Recording, Spikes
from .report import Report
from .script import require_names_of_objects, script_names
from .spike_gradient import ResetGradient, SpikeGradient
from .spike_gradients import chosen_surrogates, spike_gradients
from .spikes import State, copied
from .stability import warn_of_instability
from .tie import Tied, key_of, members, require_trained_once
from .values import Values, require_own_state
from .written import Written

Train = Sequence[str | Tied] | Mapping[str, Limit] | Mapping[str | Tied, Limit]
Record = Sequence[str] | Mapping[str, Annotated[Sequence[int] | None, OWN_MESSAGE]]
TIME = Dimensions(s=1.0)


@checked
def mirror(
    network: Any = None,
    train: Annotated[Train, OWN_MESSAGE] = (),
    surrogate: Annotated[Surrogate | Mapping[str, Surrogate] | None, OWN_MESSAGE] = None,
    reset_gradient: ResetGradient = "auto",
    dtype: Annotated[torch.dtype, OWN_MESSAGE] = torch.float32,
    device: Annotated[str | torch.device, OWN_MESSAGE] = "cpu",
    backend: str = "auto",
    strict: bool = True,
    namespace: Mapping[str, Any] | None = None,
) -> "Mirror":
    """Mirror a Brian2 network into a differentiable torch module.

    Arguments:
        network: Any Brian2 `Network`, or a list of Brian2 objects; without one, the objects that
            `run()` would take from the names here. They are not changed, and need not have been
            run.
        train: What becomes a parameter. By "object.variable": a weight ("ee.w"), a neuron's
            parameter or initial value ("cells.tau"), a constant as one object uses it, a delay
            ("ee.delay": between two steps, spikes arrive in shares), or the weight of a
            PoissonInput ("poissoninput.weight"). By its bare name ("tau_e"): a constant of the
            script, one parameter for all objects that use it. `mn.Tied("g.tau", "h.tau")` makes one
            parameter of several. A mapping also gives limits:
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
        backend: "eager" (torch, everything), "native" (compiled C, many times faster), "sequence"
            (a run as one operation of torch, on any device) or "auto": in double precision the one
            that gives Brian2's values to the last bit, else the fastest that covers the network.
            `model.report` says which one runs, and why.
        strict: Whether an unsupported feature is an error; else it is left out and listed in
            `model.report`.
        namespace: Names for equations whose group has no namespace, by default the caller's.

    Returns:
        The mirror.

    Raises:
        UnsupportedFeature: Lists everything that cannot be mirrored.
        NotCovered: The backend cannot run the network; lists what it cannot.
        UnknownName: `train` or `surrogate` names an object or variable that does not exist.
        UnitError: The width of a surrogate has another unit than the threshold.
        DomainError: There is no network; a value is NaN, a time constant is not positive, a delay
            is negative; what shall be one parameter has several values.
        ShapeError: What shall be one parameter has different numbers of elements.
        GradientError: No gradient reaches what shall be trained.
        MissingDependency: Brian2 is not installed.
    """
    try:
        from .collect import as_network  # brings brian2, which a loaded mirror does without
        from .read import read
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("brian2"):
            raise
        raise MissingDependency("mirror(net)", "brian2", "") from error

    modes = ("auto", "detach", "surrogate")
    if reset_gradient not in modes:
        raise UnknownName.among(
            f"mirror(net, reset_gradient={reset_gradient!r})", reset_gradient, modes
        )
    require_type("mirror(net, ", dtype)
    place = device_of("mirror(net, ", device)
    names = callers_names() if namespace is None else namespace
    network = as_network(network, names)
    program, unsupported = read(network, names, strict)
    _require_list(train)
    program = with_trained_delays(program, _longest(train))
    check(program)
    warn_of_instability(program)
    times = time_constants(program)
    limits: dict[str | Tied, Limit] = {}
    if isinstance(train, Mapping):
        limits.update(train)
    for asked in train:
        require_names_of_objects(program, asked, names)
        require_trainable(program, asked)
        limits.setdefault(asked, _default(program, members(program, asked), times))
    made = Mirror(
        program,
        limits,
        chosen_surrogates(program, surrogate),
        reset_gradient,
        dtype,
        place,
        unsupported,
        network,
        backend,
    )
    made.script = script_names(program, made.members, names, network)
    return made


def _require_list(train: Any) -> None:
    """Refuse a single name where a list is meant.

    Raises:
        DomainError: It is no list and no mapping.
    """
    if isinstance(train, Mapping) or (isinstance(train, Sequence) and not isinstance(train, str)):
        return
    one = isinstance(train, str | Tied)
    raise DomainError(
        f"mirror(net, train={train!r}): what is trained is a list of names, or a mapping from names"
        f" to limits. Write {f'train=[{train!r}]' if one else 'train=[]'}."
    )


def _longest(train: Train) -> dict[str, float | None]:
    """Delays that are to be trained, and the longest that each may become [s].

    Raises:
        DomainError: A limit of one is none of `mn.Bounded`.
    """
    limits: dict[Any, Any] = dict(train) if isinstance(train, Mapping) else {}
    found: dict[str, float | None] = {}
    for asked in train:
        names = asked.names if isinstance(asked, Tied) else (str(asked),)
        for name in (name for name in names if name.endswith(".delay")):
            limit = limits.get(asked)
            if limit is not None and not isinstance(limit, Bounded):
                raise DomainError(
                    f"mirror(net, train={{{name!r}: {limit}}}): a delay is trained between zero and"
                    " a longest one, for which spikes are remembered. Write"
                    f" train={{{name!r}: mn.Bounded(0*ms, 20*ms)}}, or leave the limit out."
                )
            most = None if limit is None else si(limit.high, TIME, f"the upper bound of {name!r}")
            found[name] = None if most is None else float(most)
    return found


def _default(program: Program, keys: Sequence[str], times: Mapping[str, Any]) -> Limit:
    """Limit of a parameter for which none is given."""
    if delays := [key for key in keys if key in program.trained_delays]:
        longest = min(longest_delay(program, key) for key in delays)
        return Bounded(quantity(0.0, TIME), quantity(longest, TIME))
    return Positive() if set(keys) & set(times) else Free()


def _cost(value: Any, rounded: Any, step: float) -> str:
    """How far Brian2's grid is from trained delays, in words."""
    off = np.abs(value - rounded) * 1e3
    return (
        f"rounded to steps of {step * 1e3:g} ms, by {off.max(initial=0):.2g} ms at most and"
        f" {off.mean() if off.size else 0:.2g} ms on average"
    )


@checked
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
        train: Mapping[str, Annotated[Limit, OWN_MESSAGE]]
        | Mapping[str | Tied, Annotated[Limit, OWN_MESSAGE]],
        surrogates: Mapping[str, Surrogate],
        reset_gradient: ResetGradient,
        dtype: torch.dtype,
        device: torch.device,
        unsupported: Sequence[Unsupported],
        source: Any = None,
        backend: str = "auto",
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
        self.asked = backend
        self.surrogates = dict(surrogates)
        self.reset_gradient: ResetGradient = reset_gradient
        self.made_in = dtype  # in which the gradients of spikes were derived
        self._engines: dict[str, Engine] = {}
        self._fitting: set[Any] = set()  # runs whose memory was found to be there
        self._chosen: dict[tuple[torch.dtype, torch.device], str] = {}
        self._dtype, self._device = dtype, device
        self.trained = {key: self._hold(key) for key in self.limits}
        self.gradients: dict[str, SpikeGradient] = {}
        self.left_out: dict[str, tuple[str, ...]] = {}  # by learning rule, of the gradient
        eager = EagerEngine(program, self.trained_constants, self.gradients)
        self.gradients |= dict(spike_gradients(eager, self.values, surrogates, reset_gradient))
        self._engines["eager"] = eager  # its code for thresholds and resets is that of a run
        self._chosen[self.dtype, self.device] = chosen_backend(backend, self._demand)

    # ---- parameters

    def _hold(self, key: str) -> Held:
        """Make a parameter of a variable or constant."""
        owner, _, name = key.rpartition(".")
        if owner and owner not in self._modules:
            self._modules[owner] = Holder()
        holder = cast(Holder, self._modules[owner]) if owner else self
        value = self._tensor(self.program.initial(self.members[key][0]))
        return holder.hold(key, name, value, self.limits[key], self.unit(key))

    @checked
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

    @checked
    def present(self, member: str) -> Tensor:
        """Value of a trained variable or constant of one object, in SI units and in its shape.

        Raises:
            UnknownName: It is not trained.
        """
        if member not in self.keys:
            raise UnknownName.among(f"present(member={member!r})", member, self.keys)
        value = self.trained[self.keys[member]].read()
        return value.reshape(np.shape(self.program.initial(member)))

    @checked
    def parameter_groups(self, lr: AboveZero = 1e-2) -> list[dict[str, Any]]:
        """Groups for an optimiser, one for each parameter, with its name."""
        return [{"params": [held.raw], "lr": lr, "name": key} for key, held in self.trained.items()]

    @checked
    def project_(self) -> None:
        """Move parameters back into their limits."""
        for held in self.trained.values():
            held.stay_within()

    @checked
    def project_gradients_(self) -> None:
        """Set gradients to zero where descent would leave the limits.

        A line search, as that of L-BFGS, otherwise expects the loss to fall beyond a border.
        """
        for held in self.trained.values():
            held.drop_outward_gradient()

    @checked
    def unit(self, key: str) -> Dimensions:
        """Dimensions of a variable, subexpression or trained constant.

        Raises:
            UnknownName: There is no such one.
        """
        value = self.program.values.get(key)
        if value is not None and value.unit is not None:
            return value.unit
        try:
            return self.program.unit(self.members.get(key, (key,))[0])
        except KeyError:
            known = [*self.program.variables, *self.program.constants(), *self.members]
            raise UnknownName.among(f"unit(key={key!r})", key, known) from None

    # ---- copies

    def __getstate__(self) -> dict[str, Any]:
        """What a file needs: no Brian2 network, and no code, which is made anew when needed."""
        return {**self.__dict__, "network": None, "_engines": {}}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Mirror":
        """A mirror of the same network, with parameters of its own."""
        made = type(self).__new__(type(self))
        memo[id(self)], memo[id(self.program)] = made, self.program
        made.__setstate__(deepcopy(self.__getstate__(), memo))
        made.network, made._engines = self.network, self._engines
        return made

    # ---- running

    @property
    def values(self) -> Values:
        """Values of all variables and constants, the trained ones as they are now.

        Raises:
            DomainError: A trained time constant is no longer positive.
        """
        present = {member: self.present(member) for member in self.keys}
        require_positive({key: present[key].detach().cpu() for key in self.times})
        return Values(self.program, present, self.dtype, self.device)

    @property
    def _demand(self) -> Demand:
        return Demand(self.program, self.gradients, self.dtype, self.device)

    @property
    def backend(self) -> str:
        """Name of the backend that runs the network, which may change with `model.double()`."""
        values = self.dtype, self.device
        if values not in self._chosen:
            self._chosen[values] = chosen_backend(self.asked, self._demand)
        return self._chosen[values]

    @property
    def engine(self) -> Engine:
        """What runs the network."""
        name = self.backend
        if name not in self._engines:
            made = backends[name]()
            self._engines[name] = made.compile(self.program, self.trained_constants, self.gradients)
        return self._engines[name]

    @property
    def trained_constants(self) -> frozenset[str]:
        """Keys of the constants of namespaces that are trained."""
        return frozenset(k for k in self.keys if k not in self.program.variables)

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
        require_type("model.to(", probe.dtype)
        device_of("model.to(", probe.device)
        self._dtype, self._device = probe.dtype, probe.device
        return super()._apply(fn, recurse)

    @property
    def report(self) -> Report:
        """What each Brian2 object became."""
        by_spikes_last = sorted(self.gradients.items(), key=lambda pair: pair[0].endswith(".spike"))
        gradients = {key.partition(".")[0]: str(made) for key, made in by_spikes_last}
        trained = {member: self._says(member) for member in self.keys}
        backend = self.backend
        why = why_not_faster(backend, self._demand)
        engine = f"{backend} ({why})" if why else backend
        return Report(
            self.program, trained, self.unsupported, gradients, engine, dict(self.left_out)
        )

    def _says(self, member: str) -> str:
        """What the report says of what is trained."""
        key, name = self.keys[member], member.partition(".")[2]
        others = [other for other in self.members[key] if other != member]
        tied = f", one with {', '.join(others)}" if others else ""
        return f"{name} ({self.limits[key]}{tied})"

    @checked
    def forward(
        self,
        inputs: Annotated[Mapping[str, Any] | Tensor | None, OWN_MESSAGE] = None,
        state: State | None = None,
        batch_first: bool = False,
    ) -> Recording:
        """Run for as long as the inputs last.

        Arguments:
            inputs: Key to "time batch neuron"; at least one. Where the network has exactly one
                input, its tensor alone: see `input_names`.
            state: As in `run`.
            batch_first: Whether inputs are "batch time neuron".

        Raises:
            ShapeError: There are no inputs, so that nothing says for how long to run.
            DomainError: A tensor alone was given to a network with several inputs; lists them.
            ExportError: It was called by torch.export or torch.jit.
        """
        require_no_export()
        given = named_inputs(self.program, self.keys, inputs)
        if batch_first:
            given = {name: time_first(x) for name, x in given.items()}
        if not given:
            raise ShapeError(
                "model(inputs): no input was given, so nothing says for how long to run."
                " Write model.run(100*ms)."
            )
        steps = len(next(iter(given.values())))
        return self.run_steps(steps, given, state=state)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Inputs that `model(x)` may mean, where there is one: see `bridge/calling.py`."""
        return input_names(self.program, self.keys)

    def __prepare_scriptable__(self) -> NoReturn:
        """What torch.jit.script asks for first.

        Raises:
            ExportError: Always.
        """
        raise not_exported("torch.jit.script(model)")

    @checked
    def run(
        self,
        duration: Any,
        inputs: Mapping[str, Any] | None = None,
        batch_size: Annotated[int | None, OWN_MESSAGE] = None,
        state: Annotated[Mapping[str, Any] | None, OWN_MESSAGE] = None,
        record: Record = (),
        report: Literal["text"] | None = None,
        seed: Seed | None = None,
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
            TooLarge: It needs more memory than there is.
        """
        steps = self.steps(duration)
        given = dict(inputs or {})
        if batch_first:
            given = {k: time_first(v) for k, v in given.items()}
        return self.run_steps(steps, given, batch_size, state, record, report, seed)

    @checked
    def initial_state(self, batch_size: Count = 1) -> State:
        """State of the network as it was read, with the present parameters."""
        return self.values.initial_state(batch_size)

    @checked
    def steps(self, duration: Any) -> int:
        """Number of time steps in a duration.

        Raises:
            UnitError: It is no time.
            ShapeError: It is several.
            DomainError: It is negative or infinite.
        """
        given = np.asarray(si(duration, TIME, "the duration of run(...)"))
        if given.size != 1:
            raise ShapeError(
                f"run({duration}): a run has one duration, and these are {given.size}. Write, say,"
                " 100*ms."
            )
        seconds = float(given.reshape(()))
        if not (np.isfinite(seconds) and seconds >= 0):
            raise DomainError(
                f"run({duration}): a duration cannot be negative or infinite. Write, say, 100*ms."
            )
        return round(seconds / self.program.dt)

    def _tensor(self, value: Any) -> Tensor:
        x = torch.as_tensor(np.array(value), device=self._device)
        return x if x.dtype == torch.bool else x.to(self._dtype)

    @checked
    def run_steps(
        self,
        steps: int,
        inputs: Mapping[str, Any] | None = None,
        batch_size: Annotated[int | None, OWN_MESSAGE] = None,
        state: Annotated[Mapping[str, Any] | None, OWN_MESSAGE] = None,
        record: Record = (),
        report: Literal["text"] | None = None,
        seed: Seed | None = None,
    ) -> Recording:
        """Run for a number of time steps: see `run`."""
        values = self.values
        if state is not None:
            require_own_state(values, state)
        given = Inputs(values, inputs or {}, steps, batch_size, state)
        chosen = self._recorded(record)
        fits = self._fits_at_least(steps, given.batch_size, chosen)
        now = self._begin(values, given, state, seed)
        if not fits:
            self._require_memory(values, given, now, chosen)
        first, batch = now["step"], given.batch_size
        trace = self.engine.run(values, given, now, chosen, report is not None)
        sizes = {n: (batch, self.program.groups[n].size) for n in trace.spikes}
        nothing = {key: self._nothing(key, chosen[key], batch) for key in chosen}
        return Recording(
            dt=self.program.dt,
            first=first,
            steps=steps,
            spikes=Spikes(trace.spikes, sizes, self.program.parts),
            traces={key: trace.values.get(key, nothing[key]) for key in chosen},
            state=trace.state,
            units={key: self.unit(key) for key in chosen},
        )

    @checked
    def memory(
        self,
        duration: Any,
        batch_size: Count = 1,
        record: Record = (),
        inputs: Mapping[str, Any] | None = None,
    ) -> float:
        """Memory that `run` with these arguments would need at its peak, from what a step keeps.

        Where a gradient is recorded, that of the way back through the run, with a loss of what is
        recorded, is part of it.

        Arguments:
            duration, batch_size, record, inputs: See `run`.

        Returns:
            Memory beside what is there now [byte].

        Raises:
            UnitError: The duration is no time, or an input has the wrong unit.
            UnknownName: An input or recorded variable does not exist.
            ShapeError: An input has the wrong shape.
            TooLarge: It is more than there is by far.
        """
        steps, values = self.steps(duration), self.values
        given = Inputs(values, inputs or {}, steps, batch_size, None)
        chosen = self._recorded(record)
        self._fits_at_least(steps, given.batch_size, chosen)
        return self.engine.memory(values, given, self._begin(values, given, None, None), chosen)

    def _fits_at_least(self, steps: int, batch: int, chosen: Mapping[str, Tensor | None]) -> bool:
        """Refuse a run that no engine can hold; whether any would hold it.

        Raises:
            TooLarge: None can.
        """
        if self.device.type != "cpu":
            return True
        recorded = sum(self._size(k) if x is None else len(x) for k, x in chosen.items())
        about = self.program, steps, batch, recorded, self.dtype.itemsize
        require_fits(least_memory(*about), "at least", steps, batch, self._records_gradient)
        return not may_be_large(*about)

    @property
    def _records_gradient(self) -> bool:
        return torch.is_grad_enabled() and bool(self.trained)

    def _require_memory(
        self, values: Values, given: Inputs, now: State, chosen: Mapping[str, Tensor | None]
    ) -> None:
        """Refuse a run that its engine cannot hold, the first time that it is asked for.

        Raises:
            TooLarge: It cannot.
        """
        steps, batch, gradient = given.steps, given.batch_size, self._records_gradient
        recorded = tuple((k, None if x is None else len(x)) for k, x in chosen.items())
        run = (steps, batch, recorded, given.driven, gradient)
        if run not in self._fitting:
            needed = self.engine.memory(values, given, now, chosen)
            require_fits(needed, "about", steps, batch, gradient)
            self._fitting.add(run)

    def _begin(
        self, values: Values, given: Inputs, state: Mapping[str, Any] | None, seed: int | None
    ) -> State:
        now = dict(state) if state is not None else values.initial_state(given.batch_size)
        fresh = seed is not None or "draws" not in now
        now["draws"] = Draws(seed, given.batch_size) if fresh else now["draws"].copy()
        for key in given.driven:
            if key in self.program.variables and key not in now:
                now[key] = values.in_trials(key, given.batch_size)
        return now if torch.is_grad_enabled() else copied(now)

    def _nothing(self, key: str, index: Tensor | None, batch_size: int) -> Tensor:
        """The trace of a run without steps."""
        width = self._size(key) if index is None else len(index)
        return torch.zeros(0, batch_size, width, dtype=self.dtype, device=self.device)

    def _size(self, key: str) -> int:
        """Number of elements of a variable or subexpression."""
        values, variables = self.program.values, self.program.variables
        return values[key].size if key in values else variables[key].value.size

    def _recorded(self, record: Record) -> dict[str, Tensor | None]:
        """What to record, and of which elements."""
        known = {**self.program.variables, **self.program.values}
        if isinstance(record, str):
            raise DomainError(
                f"run(record={record!r}): what is recorded is a list of names. Write"
                f" record=[{record!r}]."
            )
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

    @checked
    def write_back(self, network: Any = None) -> Written:
        """Write the trained values into the Brian2 objects.

        Arguments:
            network: By default the network that was mirrored. Another one with the same objects
                works as well; synapses are found by their edge (i, j, k), in whatever order
                they were made.

        Returns:
            Keys of what was written, the names of the script that still have another value, and
            by how much trained delays were rounded to Brian2's steps: print it, or see its `stale`
            and `rounded`.

        Raises:
            UnknownName: The network lacks an object or variable.
            UnitError: A variable has another unit there.
            WriteBackError: A group has another size, or synapses connect other neurons. Nothing
                has been written then.
        """
        if network is None and self.network is None:
            raise WriteBackError(
                "write_back(): this model was loaded from a file, and there is no Brian2 network to"
                " write to. Write model.write_back(net), or mn.load(path, network=net) with the"
                " network that was mirrored."
            )
        from .write_back import stale, write_back  # brings brian2

        values = {k: self.present(k).detach().cpu().double().numpy() for k in self.keys}
        steps = self.program.trained_delays
        rounded = {k: np.round(x / steps[k]) * steps[k] for k, x in values.items() if k in steps}
        to = self.network if network is None else network
        write_back(self.program, values | rounded, to)
        costs = {k: _cost(values[k], rounded[k], steps[k]) for k in rounded}
        return Written(self.limits, stale(self.program, values, self.script), costs)

    def __repr__(self) -> str:
        """The groups, and what is trained, with its range of values."""
        dtype = str(self.dtype).removeprefix("torch.")
        dt, groups = f"{self.program.dt * 1e3:g} ms", self.program.groups.values()
        spiking = sum(self.program.groups[name].size for name in self.program.spiking())
        lines = [
            f"Mirror of {len(groups)} objects, {spiking:,} spiking elements, dt = {dt},"
            f" {dtype} on {self.device}"
        ]
        lines += [f"  {group.name}: {group.kind} of {group.size:,}" for group in groups]
        lines += [f"  trained: {self._range(key)}" for key in self.limits]
        return "\n".join(lines)

    def _range(self, key: str) -> str:
        """A parameter with its values, for `print(model)`."""
        values, unit = self.parameter(key).detach(), self.unit(key)
        shown = f"{values.min().item():.4g}" if values.numel() else "none"
        if values.numel() > 1:
            shown += f" to {values.max().item():.4g}"
        unit_shown = "" if unit == Dimensions() else f" {unit}"
        count = f"{values.numel():,} value{'' if values.numel() == 1 else 's'}"
        return f"{key} = {shown}{unit_shown} ({count}, {self.limits[key]})"
