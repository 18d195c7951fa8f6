"""Recording with Brian2's own monitors, and what of a network is kept at the end of a run.

Runtime and C++ standalone share this: monitors join the network for one run, and their arrays are
read through the device that it ran on.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import (
    EventMonitor,
    NeuronGroup,
    PoissonGroup,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    second,
)
from brian2.core.variables import ArrayVariable, DynamicArrayVariable, Subexpression
from brian2.synapses.synapses import SynapticPathway

from mirrorneuron.errors import BuildError, DomainError, UnknownName
from mirrorneuron.units import Dimensions

from ..recording import Spikes
from ._contracts import Array, Job

MONITORS = (EventMonitor, PopulationRateMonitor, StateMonitor)
SPIKING = (NeuronGroup, PoissonGroup, SpikeGeneratorGroup)
GROWTH = 3  # a recording that doubles its room holds the old one and the new one for a moment


@dataclass
class Monitors:
    """Monitors of one run, and what they are for.

    Arguments:
        dt: Shortest time step of the network [s].
        interval: Time between two samples [s].
        spikes: By group.
        states: By variable.
        rows: Elements that are recorded of each variable.
        variables: Whose values are kept at the end, by key.
        size: Size of recordings and variables, without spikes [byte].
    """

    dt: float
    interval: float
    spikes: dict[str, Any] = field(default_factory=dict[str, Any])
    states: dict[str, Any] = field(default_factory=dict[str, Any])
    rows: dict[str, Array] = field(default_factory=dict[str, Array])
    variables: dict[str, Any] = field(default_factory=dict[str, Any])
    size: int = 0

    def read_spikes(self) -> dict[str, Spikes]:
        """Spikes of each group."""
        found = dict[str, Spikes]()
        for name, monitor in self.spikes.items():
            dt = float(monitor.source.clock.dt_)
            t = np.array(monitor.variables["t"].get_value(), dtype=float)
            index = np.array(monitor.variables["i"].get_value(), dtype=np.int64)
            found[name] = Spikes(np.rint(t / dt).astype(np.int64), index, dt, len(monitor.source))
        return found

    def read_traces(self) -> dict[str, Array]:
        """Trace of each variable, "time neuron"."""
        return {
            key: np.array(monitor.variables[key.split(".", 1)[1]].get_value()).reshape(
                -1, len(self.rows[key])
            )
            for key, monitor in self.states.items()
        }

    def read_t(self) -> Array:
        """Times of the samples [s]."""
        for monitor in self.states.values():
            return np.array(monitor.variables["t"].get_value(), dtype=float)
        return np.empty(0)

    def read_final(self) -> dict[str, Array]:
        """Values at the end."""
        return {
            key: np.array(v.get_value()).reshape(() if v.scalar else (-1,))
            for key, v in self.variables.items()
        }

    def units(self) -> dict[str, Dimensions]:
        """Dimensions of everything that is kept."""
        recorded = {
            key: monitor.source.variables[key.split(".", 1)[1]]
            for key, monitor in self.states.items()
        }
        return {key: Dimensions.of(v) for key, v in {**self.variables, **recorded}.items()}


@contextmanager
def watching(network: Any, job: Job) -> Generator[Monitors]:
    """Monitors in `network` for a while, after it is known that everything fits into memory.

    Raises:
        UnknownName: A group or variable that is to be recorded does not exist.
        DomainError: An element does not exist, or the interval is no multiple of the time step.
        BuildError: Recordings and arrays do not fit into memory.
    """
    groups = {obj.name: obj for obj in network.objects if not isinstance(obj, MONITORS)}
    clock = min((obj.clock for obj in network.sorted_objects), key=lambda c: float(c.dt_))
    dt = float(clock.dt_)
    plan = Monitors(dt, _interval(job, dt), variables=_variables(network))
    spiking = {n: g for n, g in groups.items() if isinstance(g, SPIKING) and "spike" in g.events}
    for name in spiking if job.spikes is None else job.spikes:
        if name not in spiking:
            raise UnknownName.among(f"{job.asked}: spikes=[{name!r}]", name, spiking)
    plan.rows = {key: _rows(job, groups, key, chosen) for key, chosen in job.record.items()}
    _require_memory(job, plan)
    made = list[Any]()
    try:
        for name in spiking if job.spikes is None else job.spikes:
            plan.spikes[name] = SpikeMonitor(spiking[name], name="simulate_spikes*")
            made.append(plan.spikes[name])
        timing = {"clock": clock} if job.interval is None else {"dt": plan.interval * second}
        for key, rows in plan.rows.items():
            owner, name = key.split(".", 1)
            plan.states[key] = StateMonitor(
                groups[owner], name, record=rows, name="simulate_state*", **timing
            )
            made.append(plan.states[key])
        network.add(made)
        yield plan
    finally:
        network.remove([monitor for monitor in made if monitor in network.objects])


def _interval(job: Job, dt: float) -> float:
    if job.interval is None:
        return dt
    steps = round(job.interval / dt)
    if steps < 1 or abs(steps * dt - job.interval) > 1e-6 * dt:
        raise DomainError(
            f"{job.asked}: interval = {job.interval * 1e3:g} ms is no multiple of the time step"
            f" {dt * 1e3:g} ms. Samples are taken at the start of a step."
            f" Write interval={max(steps, 1) * dt * 1e3:g}*ms."
        )
    return steps * dt


def _variables(network: Any) -> dict[str, Any]:
    """Variables whose values are kept at the end of a run, by key."""
    found = dict[str, Any]()
    for obj in network.sorted_objects:
        if isinstance(obj, MONITORS):
            continue
        if isinstance(obj, SynapticPathway):
            found[f"{obj.name}.delay"] = obj.variables["delay"]
        for name, variable in getattr(obj, "variables", {}).items():
            own = getattr(getattr(variable, "owner", None), "name", None) == obj.name
            if own and isinstance(variable, ArrayVariable) and not name.startswith("_"):
                found[f"{obj.name}.{name}"] = variable
    return found


def _rows(job: Job, groups: Mapping[str, Any], key: str, chosen: Any) -> Array:
    """Elements of a variable that are recorded."""
    asked = f"{job.asked}: record=[{key!r}]"
    owner, _, name = key.partition(".")
    variables = {n: _recordable(group) for n, group in groups.items()}
    if name not in variables.get(owner, {}):
        known = [f"{n}.{v}" for n, held in variables.items() for v in held]
        raise UnknownName.among(asked, key, known)
    if variables[owner][name].scalar:
        return np.zeros(1, dtype=np.int32)
    size = _size(groups[owner])
    if chosen is None:
        if size is None:
            raise DomainError(
                f"{asked}: the synapses of {owner!r} are made by the compiled program, so that"
                " their number is not known before the run. Write which to record,"
                f" record={{{key!r}: [0, 1]}}, or connect(i=..., j=...) in build()."
            )
        return np.arange(size, dtype=np.int32)
    rows = np.asarray(chosen)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size:
        raise DomainError(
            f"{job.asked}: record={{{key!r}: {chosen!r:.60}}} are no indices. They are a list of"
            f" whole numbers. Write record={{{key!r}: [0, 1]}}, or record=[{key!r}] for all."
        )
    if rows.min() < 0 or (size is not None and rows.max() >= size):
        wrong = int(rows.min()) if rows.min() < 0 else int(rows.max())
        raise DomainError(
            f"{job.asked}: record={{{key!r}: ...}} has the index {wrong}, but {owner!r} has"
            f" {'synapses from 0 on' if size is None else f'{size} elements'}."
            " Write indices that exist."
        )
    return rows.astype(np.int32)


def _recordable(group: Any) -> dict[str, Any]:
    return {
        name: v
        for name, v in getattr(group, "variables", {}).items()
        if isinstance(v, ArrayVariable | Subexpression)
        and not name.startswith("_")
        and getattr(getattr(v, "owner", None), "name", None) == group.name
        and not (isinstance(group, Synapses) and name in ("N", "N_incoming", "N_outgoing"))
    }


def _size(group: Any) -> int | None:
    """Number of elements, or None where only the compiled program will know."""
    try:
        return len(group)
    except NotImplementedError:
        return None


def _require_memory(job: Job, plan: Monitors) -> None:
    """Refuse what certainly does not fit: a lower bound, which knows nothing of spikes.

    Raises:
        BuildError: With the numbers.
    """
    samples = int(np.ceil(job.duration / plan.interval))
    recordings = sum(8 * samples * len(rows) for rows in plan.rows.values())
    arrays = sum(_bytes(variable) for variable in plan.variables.values())
    plan.size = recordings + arrays
    needed, present = GROWTH * recordings + 2 * arrays, job.memory
    if needed > present:
        raise BuildError(
            f"{job.asked}: needs at least {gigabytes(needed)} of memory, and"
            f" {gigabytes(present)} are available. Recordings take {gigabytes(recordings)}"
            f" ({samples} samples; {GROWTH} times that while they grow), the variables of the"
            f" network {gigabytes(arrays)} (twice, the result holds their final values). Record"
            " fewer variables or elements, record={'cells.v': [0, 1]}, less often, interval=1*ms,"
            " or run for a shorter time."
        )


def _bytes(variable: Any) -> int:
    if not isinstance(variable, DynamicArrayVariable):
        return np.dtype(variable.dtype).itemsize * variable.size
    counts = variable.name.startswith("N_")  # one a neuron, and not one a synapse
    return 0 if counts else np.dtype(variable.dtype).itemsize * (_size(variable.owner) or 0)


def gigabytes(count: int) -> str:
    """A number of bytes as text."""
    return f"{count / 1e9:.3g} GB"
