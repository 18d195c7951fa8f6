"""Populations of the stepper: neurons and synapses with their arrays, as PyGeNN has them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mirrorneuron.errors import BuildError

from .model import Array

DTYPES = {"int": np.int32, "unsigned int": np.int32}
DELTA = "DeltaCurr"


class NeuronModel:
    """What `create_neuron_model` was given."""

    def __init__(self, name: str, **given: Any) -> None:
        self.name, self.given = name, given


class WeightUpdate:
    """What `create_weight_update_model` and `init_weight_update` were given."""

    def __init__(self, name: str, **given: Any) -> None:
        self.name, self.given = name, given
        self.values: dict[str, Any] = {}
        self.params: Mapping[str, float] = {}
        self.refs: dict[str, Mapping[str, tuple["Neurons", str]]] = {}


def create_neuron_model(name: str, **given: Any) -> NeuronModel:
    """A neuron model of code strings, as in PyGeNN."""
    return NeuronModel(name, **given)


def create_weight_update_model(name: str, **given: Any) -> WeightUpdate:
    """A weight-update model of code strings, as in PyGeNN."""
    return WeightUpdate(name, **given)


def create_var_ref(group: "Neurons", name: str) -> tuple["Neurons", str]:
    """A reference to a variable of a population."""
    return group, name


def init_postsynaptic(name: str) -> str:
    """The only postsynaptic model that is known here: an input is added in one step."""
    if name != DELTA:
        raise BuildError(f"The stepper knows the postsynaptic model {DELTA!r} alone, not {name!r}.")
    return name


def init_weight_update(
    model: WeightUpdate,
    params: Mapping[str, float],
    vars: Mapping[str, Any],
    pre_vars: Mapping[str, Any],
    post_vars: Mapping[str, Any],
    pre_var_refs: Mapping[str, tuple["Neurons", str]],
    post_var_refs: Mapping[str, tuple["Neurons", str]],
) -> WeightUpdate:
    """A weight-update model with its values."""
    made = WeightUpdate(model.name, **model.given)
    made.params, made.values = params, dict(vars)
    made.refs = {"pre": pre_var_refs, "post": post_var_refs}
    return made


class Values:
    """A variable or table of a population."""

    def __init__(self, value: Any, dtype: Any) -> None:
        self.dtype = dtype
        self.set_init_values(value)

    def set_init_values(self, value: Any) -> None:
        """Where it starts."""
        self.array = np.ascontiguousarray(value, dtype=self.dtype)

    def pull_from_device(self) -> None:
        """Nothing: there is no device."""

    @property
    def current_values(self) -> Array:
        """A copy of the present values."""
        return self.array.copy()

    @property
    def values(self) -> Array:
        """A copy of the present values."""
        return self.array.copy()


class Neurons:
    """A population of neurons."""

    def __init__(
        self, name: str, size: int, model: NeuronModel | str, params: Any, vars: Any
    ) -> None:
        self.name, self.size, self.params = name, size, dict(params)
        self.spike_recording_enabled = False
        self.extra_global_params: dict[str, Values] = {}
        if isinstance(model, str):
            model = _spike_source_array()
        self.model = model.given
        types = dict(self.model.get("vars", ()))
        self.vars = {n: Values(v, DTYPES.get(types[n], float)) for n, v in vars.items()}
        for table, _ in self.model.get("extra_global_params", ()):
            self.extra_global_params[table] = Values(np.zeros(1), float)
        self.slots = 2
        self.block, self.recorded = 0, np.zeros((0, 0), dtype=np.uint8)

    def set_param_dynamic(self, name: str) -> None:
        """Nothing: all numbers can be set."""

    def set_dynamic_param_value(self, name: str, value: float) -> None:
        """Set a number during a run."""
        self.numbers[list(self.params).index(name)] = value

    def allocate(self, block: int) -> None:
        """Room for spikes: those under way, and those recorded in a block of steps."""
        self.numbers = np.array([*self.params.values(), 0.0], dtype=float)
        self.spikes = np.zeros((self.slots, max(self.size, 1)), dtype=np.int32)
        self.counts = np.zeros(self.slots, dtype=np.int64)
        self.block = block if self.spike_recording_enabled else 0
        self.recorded = np.zeros((max(self.block, 1), -(-self.size // 8) + 1), dtype=np.uint8)

    @property
    def spike_recording_data(self) -> list[tuple[Array, Array]]:
        """Times and neurons of the spikes of the last block of steps."""
        held = np.unpackbits(self.recorded[: self.block], axis=1, bitorder="little")
        row, index = np.nonzero(held[:, : self.size])
        return [((self.first + row) * self.dt, index)]

    first, dt = 0, 0.0


class Synapses:
    """A population of synapses."""

    def __init__(self, name: str, source: Neurons, target: Neurons, update: WeightUpdate) -> None:
        self.name, self.src, self.trg, self.update = name, source, target, update
        self.axonal_delay_steps = self.back_prop_delay_steps = 0
        self.max_dendritic_delay_timesteps, self.max_source_connections = 1, 0
        self.post_target_var = "Isyn"
        types = dict(update.given.get("vars", ()))
        self.vars = {n: Values(v, DTYPES.get(types[n], float)) for n, v in update.values.items()}
        self.extra_global_params = {
            table: Values(np.zeros(1), float)
            for table, _ in update.given.get("extra_global_params", ())
        }

    def set_sparse_connections(self, pre: Array, post: Array) -> None:
        """Connect; variables are given, and read, in the order of (pre, post)."""
        self.order = np.lexsort((post, pre))
        self.i = np.ascontiguousarray(pre[self.order], dtype=np.int32)
        self.j = np.ascontiguousarray(post[self.order], dtype=np.int32)
        counts = np.bincount(pre, minlength=self.src.size)
        self.rows = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def allocate(self) -> None:
        """Arrays in the order of rows, columns for postsynaptic spikes, and delayed inputs."""
        self.numbers = np.array([*self.update.params.values(), 0.0], dtype=float)
        for values in self.vars.values():
            values.array = np.ascontiguousarray(values.array[self.order])
        by_post = np.argsort(self.j, kind="stable")
        self.column = np.ascontiguousarray(by_post, dtype=np.int64)
        counts = np.bincount(self.j, minlength=self.trg.size)
        self.columns = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        shape = (self.max_dendritic_delay_timesteps, max(self.trg.size, 1))
        self.delayed = np.zeros(shape)


def _spike_source_array() -> NeuronModel:
    """GeNN's built-in model of this name, as its documentation describes it."""
    return NeuronModel(
        "SpikeSourceArray",
        vars=[("startSpike", "unsigned int"), ("endSpike", "unsigned int")],
        sim_code="",
        threshold_condition_code="startSpike != endSpike && t >= spikeTimes[startSpike]",
        reset_code="startSpike++;",
        extra_global_params=[("spikeTimes", "scalar*")],
    )


def arrays(neurons: Iterable["Neurons"], synapses: Iterable["Synapses"]) -> Sequence[Array]:
    """All arrays of a model, in the order in which the code numbers them."""
    held: list[Array] = []
    for n in neurons:
        held += [n.numbers, n.spikes, n.counts, n.recorded]
        held += [v.array for v in n.vars.values()]
        held += [v.array for v in n.extra_global_params.values()]
    for s in synapses:
        held += [s.numbers, s.rows, s.i, s.j, s.columns, s.column, s.delayed]
        held += [v.array for v in s.vars.values()]
        held += [v.array for v in s.extra_global_params.values()]
    return held
