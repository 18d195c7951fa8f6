"""Host: the user's Python between steps, on Brian2's own objects.

Before a `network_operation` runs, the values of the mirror are put into the Brian2 objects; what
it changes there is taken back. Monitors run as well, as it may look at them. Afterwards the
objects are as they were: only what the user's Python keeps for itself has moved on.

In a comparison Brian2 runs the operation, once, and the mirror takes over what it did.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, cast

import numpy as np
from torch import Tensor

from mirrorneuron.errors import MirrorNeuronError, Unsupported, UnsupportedFeature

from .program import Array
from .spikes import Events, State

SNAPSHOT = "mirrorneuron host"


class Effect(NamedTuple):
    """What an operation did.

    Arguments:
        changes: Key of a variable to which of its elements changed, and their new values.
        looked: Keys of the variables and events that it looked at.
        random: State of numpy's random numbers after it.
    """

    changes: Mapping[str, tuple[Array, Array]]
    looked: frozenset[str]
    random: Any


@dataclass
class Session:
    """The Brian2 objects on which the operations of a network run.

    Arguments:
        network: The network.
        variables: Key of each variable that an operation may change to Brian2's own.
        spaces: Key of each event to Brian2's list of those who raised it.
        tables: TimedArrays by name, and their values when they were read.
        dt: Time step of the Program [s].
        recorded: What each operation did in this step, where Brian2 runs it; else None.
    """

    network: Any
    variables: Mapping[str, Any]
    spaces: Mapping[str, Any]
    tables: Mapping[str, tuple[Any, Array]]
    dt: float
    recorded: dict[str, Effect] | None = None
    current: dict[str, tuple[Any, int]] = field(default_factory=dict[str, Any])

    def __reduce__(self) -> NoReturn:
        names = ", ".join(obj.name for obj in self._operations())
        raise MirrorNeuronError(
            f"The model runs Python of yours between its steps ({names}), on Brian2's own objects,"
            " which no file can hold. Write mn.register(operation, reads=[...], writes=[...],"
            " torch=...) before mirror(net), or save model.state_dict() and mirror the network"
            " again where it is needed."
        )

    @contextmanager
    def running(self) -> Generator[None]:
        """Leave the objects as they were after a run of the mirror."""
        self.network.store(SNAPSHOT)
        self.current.clear()
        try:
            yield
        finally:
            self.network.restore(SNAPSHOT, restore_random_state=True)
            del self.network._stored_state[SNAPSHOT]

    @contextmanager
    def watching(self) -> Generator[None]:
        """Note what each operation does while Brian2 runs the network."""
        self.recorded = {}
        operations = list(self._operations())
        for operation in operations:
            operation.run = self._noting(operation)
        try:
            yield
        finally:
            self.recorded = None
            for operation in operations:
                del operation.run

    def _operations(self) -> Iterator[Any]:
        """Objects that run Python."""
        return (obj for obj in self.network.sorted_objects if runs_python(obj) and obj.active)

    def _noting(self, operation: Any) -> Any:
        run = operation.run

        def noting() -> None:
            recorded = cast(dict[str, Effect], self.recorded)
            recorded[operation.name] = self.effect(operation.name, run, looked=False)

        return noting

    def effect(self, name: str, run: Any, looked: bool) -> Effect:
        """Run an operation, and find out what it did."""
        before = {key: np.array(v.get_value()) for key, v in self.variables.items()}
        shape = self._shape()
        seen: set[str] = set()
        with self._looking(seen) if looked else nullcontext():
            run()
        self._require_same(name, shape)
        changes = dict[str, tuple[Array, Array]]()
        for key, variable in self.variables.items():
            now = np.asarray(variable.get_value())
            changed = np.flatnonzero(~_same(before[key], now))
            if changed.size:
                changes[key] = changed, now.reshape(-1)[changed].copy()
        return Effect(changes, frozenset(seen), np.random.get_state())

    @contextmanager
    def _looking(self, seen: set[str]) -> Generator[None]:
        """Collect keys of what is looked at."""
        everything = {**self.variables, **self.spaces}
        if not everything:
            yield
            return
        known = {id(variable): key for key, variable in everything.items()}
        device: Any = next(iter(everything.values())).device
        get = device.get_value

        def get_value(variable: Any, access_data: bool = True) -> Any:
            key = known.get(id(variable))
            seen.update((key,) if key else self._behind(variable))
            return get(variable, access_data)

        device.get_value = get_value
        try:
            yield
        finally:
            del device.get_value

    def _behind(self, variable: Any) -> Iterator[str]:
        """Keys of what a monitor has recorded, where a variable is a monitor's."""
        source = getattr(getattr(variable, "owner", None), "source", None)
        source = getattr(source, "source", source)  # of a subgroup, the group
        name = getattr(source, "name", None)
        yield from (key for key in (*self.variables, *self.spaces) if key.startswith(f"{name}."))

    # ---- between mirror and Brian2

    def put(self, state: State, tick: int) -> None:
        """Give the Brian2 objects the values of a mirror, and its time."""
        for key, variable in self.variables.items():
            if self._is_new(key, state[key]):
                array = variable.get_value()
                array[:] = state[key].detach().cpu().numpy().reshape(np.shape(array))
        for key, space in self.spaces.items():
            events: Events = state[key]
            if self._is_new(key, events.spikes):
                array = space.get_value()
                array[: len(events.index)] = events.index
                array[-1] = len(events.index)
        for clock in {obj.clock for obj in self.network.sorted_objects}:
            step = -(-tick // round(float(clock.dt_) / self.dt))
            clock.variables["timestep"].get_value()[0] = step
            clock.variables["t"].get_value()[0] = step * float(clock.dt_)
        self.network.t_ = tick * self.dt

    def _is_new(self, key: str, value: Tensor) -> bool:
        """Whether a value is another than the one that was put there last."""
        seen, version = self.current.get(key, (None, -1))
        if seen is value and version == value._version:
            return False
        self.current[key] = value, value._version
        return True

    def forget(self, keys: Sequence[str]) -> None:
        """Put these variables again, as they were changed."""
        for key in keys:
            self.current.pop(key, None)

    # ---- what no mirror follows

    def _shape(self) -> tuple[Any, ...]:
        objects = self.network.sorted_objects
        return (
            tuple(obj.active for obj in objects),
            tuple(len(obj) for obj in objects if hasattr(obj, "_connect_called")),
            self.network._stopped or type(self.network)._globally_stopped,
        )

    def _require_same(self, name: str, before: tuple[Any, ...]) -> None:
        """Refuse what a mirror cannot follow."""
        active, synapses, stopped = (
            a != b for a, b in zip(before, self._shape(), strict=True)
        )  # fmt: skip
        moved = [
            n for n, (array, old) in self.tables.items() if not np.array_equal(array.values, old)
        ]
        found = {
            "switches objects on or off": active,
            "makes synapses": synapses,
            "stops the run": stopped,
            f"changes the TimedArray {', '.join(moved)}": bool(moved),
        }
        for feature in (text for text, happened in found.items() if happened):
            item = Unsupported(
                object=name,
                kind="NetworkOperation",
                feature=f"its Python {feature}",
                reason="A mirror has the objects, synapses and inputs that it was made with, and"
                " runs as long as it was asked to.",
                remedy="Change a variable instead: a weight of 0, a rate of 0*Hz, or a parameter"
                " that says what is on; and cut what was recorded.",
            )
            raise UnsupportedFeature("run(...)", (item,), len(self.network.sorted_objects))


@dataclass(frozen=True)
class Operation:
    """One object that runs Python, or a monitor, in its session."""

    session: Session
    object: Any
    watches: bool = False

    def __call__(self, state: State, tick: int, stream: Any, looked: bool) -> Effect:
        """Run it, or take what Brian2 had of it.

        Arguments:
            state: Values of the mirror.
            tick: Step count of the Program.
            stream: Random numbers of the trial, which it goes on with.
            looked: Whether to find out what it looks at.
        """
        session, name = self.session, self.object.name
        if session.recorded is not None:
            nothing = Effect({}, frozenset(), stream.get_state())
            effect = session.recorded.get(name, nothing)
        else:
            session.put(state, tick)
            own = np.random.get_state()
            np.random.set_state(stream.get_state())
            try:
                if self.watches:
                    self.object.run()
                    return Effect({}, frozenset(), None)
                effect = session.effect(name, self.object.run, looked)
            finally:
                np.random.set_state(own)
            session.forget(list(effect.changes))
        stream.set_state(effect.random)
        return effect


def runs_python(obj: Any) -> bool:
    """Whether an object is a `network_operation`, or one of the user's with a run() of its own."""
    base = next(c for c in type(obj).__mro__ if c.__name__ == "BrianObject")
    return type(obj).run is not base.run


def _same(a: Array, b: Array) -> Any:
    """Where two arrays have the same values; NaN is the same as NaN."""
    a, b = a.reshape(-1), b.reshape(-1)
    return (a == b) | ((a != a) & (b != b))
