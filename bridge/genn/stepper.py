"""Stepper: a small C program behind PyGeNN's interface, which executes the same model strings.

It is a tier of correctness, not of speed: it shows that the strings mean what Brian2 means, where
GeNN is not installed. It offers the part of PyGeNN 5 that `run` uses, in GeNN's order: dynamics of
all synapses, presynaptic spikes, postsynaptic spikes, neurons. Everything is computed in double
precision. Nothing of it is GeNN's code.
"""

import ctypes
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mirrorneuron.errors import BuildError

from .model import Array
from .stepper_code import source

FLAGS = ("-O1", "-fPIC", "-shared", "-ffp-contract=off", "-std=c99", "-w")
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


class GeNNModel:
    """A network: made, built, loaded and stepped as PyGeNN's."""

    def __init__(self, precision: str, name: str, **given: Any) -> None:
        self.name, self.dt, self.seed, self.timestep = name, 1.0, 0, 0
        self.neuron_populations: dict[str, Neurons] = {}
        self.synapse_populations: dict[str, Synapses] = {}

    def add_neuron_population(
        self, name: str, size: int, model: NeuronModel | str, params: Any, vars: Any
    ) -> Neurons:
        """Add neurons."""
        made = self.neuron_populations[name] = Neurons(name, size, model, params, vars)
        return made

    def add_synapse_population(
        self, name: str, kind: str, source: Neurons, target: Neurons, update: Any, post: str
    ) -> Synapses:
        """Add synapses."""
        made = self.synapse_populations[name] = Synapses(name, source, target, update)
        return made

    def build(self, path: str) -> None:
        """Compile, unless the same code was compiled before.

        Raises:
            BuildError: There is no compiler, or it fails.
        """
        for synapses in self.synapse_populations.values():
            pre, post = synapses.src, synapses.trg
            pre.slots = max(pre.slots, synapses.axonal_delay_steps + 2)
            post.slots = max(post.slots, synapses.back_prop_delay_steps + 2)
        self.library = ctypes.CDLL(str(compiled(source(self), Path(path))))

    def load(self, num_recording_timesteps: int) -> None:
        """Allocate."""
        self.block = num_recording_timesteps
        for neurons in self.neuron_populations.values():
            neurons.allocate(self.block)
        for synapses in self.synapse_populations.values():
            synapses.allocate()
        self.held = list(arrays(self))
        self.pointers = (ctypes.c_void_p * len(self.held))(
            *(array.ctypes.data for array in self.held)
        )
        self.state = ctypes.c_uint64(self.seed or 1)
        self.advance: Any = self.library.step
        self.advance.argtypes = [
            ctypes.c_void_p, ctypes.c_double, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
        ]  # fmt: skip
        self.advance.restype = None

    def step_time(self) -> None:
        """Make one step."""
        place = self.timestep % self.block
        self.advance(self.pointers, self.dt, self.timestep, place, ctypes.byref(self.state))
        self.timestep += 1

    def pull_recording_buffers_from_device(self) -> None:
        """Make the spikes of the last block available."""
        for neurons in self.neuron_populations.values():
            neurons.first, neurons.dt = self.timestep - self.block, self.dt

    def unload(self) -> None:
        """Nothing: arrays go when the model goes."""


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


def arrays(model: GeNNModel) -> Sequence[Array]:
    """All arrays of a model, in the order in which the code numbers them."""
    held: list[Array] = []
    for n in model.neuron_populations.values():
        held += [n.numbers, n.spikes, n.counts, n.recorded]
        held += [v.array for v in n.vars.values()]
        held += [v.array for v in n.extra_global_params.values()]
    for s in model.synapse_populations.values():
        held += [s.numbers, s.rows, s.i, s.j, s.columns, s.column, s.delayed]
        held += [v.array for v in s.vars.values()]
        held += [v.array for v in s.extra_global_params.values()]
    return held


def compiler() -> list[str]:
    """The C compiler, as a command; empty if there is none."""
    asked = shlex.split(os.environ.get("CC", ""))
    for command in [asked] if asked else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    return []


def cache() -> Path:
    """Where compiled programs are kept, by their code."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "mirrorneuron" / "stepper"


def compiled(text: str, place: Path) -> Path:
    """Path of the compiled program; what was compiled before is used again.

    It appears in the cache when it is complete and not before: nothing half-made is left there.

    Raises:
        BuildError: There is no compiler, or it fails.
    """
    command = compiler()
    if not command:
        asked = os.environ.get("CC") or "cc"
        raise BuildError(
            f"stepper: the C compiler {asked!r} cannot be found on the PATH. The stepper compiles"
            " the network into a small C program. Install one (apt install gcc), set CC to the"
            " compiler that you have, or write backend='runtime', target='numpy'."
        )
    name = hashlib.sha256("\n".join([*command, *FLAGS, text]).encode()).hexdigest()[:24]
    kept = cache() / f"{name}.so"
    if kept.exists():
        return kept
    place.mkdir(parents=True, exist_ok=True)
    (place / "stepper.c").write_text(text)
    made = _compile(command, place)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, new = tempfile.mkstemp(dir=kept.parent, suffix=".tmp")
    except OSError:  # no cache can be written: this simulation alone uses it
        return made
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(made.read_bytes())
        os.replace(new, kept)
    finally:
        Path(new).unlink(missing_ok=True)
    return kept


def _compile(command: list[str], place: Path) -> Path:
    made = place / "stepper.so"
    arguments = [*command, *FLAGS, "-o", str(made), str(place / "stepper.c"), "-lm"]
    try:
        status, said = _call(arguments)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    if status:
        made.unlink(missing_ok=True)
        how = f"ended with exit status {status}"
        if status < 0:
            how = f"was ended by signal {-status}"
        told = "\n".join(f"    {line:.200}" for line in said.splitlines()[:15])
        raise BuildError(
            f"stepper: the C code could not be compiled: {command[0]} {how}. Its first lines:\n\n"
            f"{told or '    (nothing)'}\n\nIf the compiler was killed, free some memory. Write"
            " backend='runtime' to run without a build, and directory='...' to keep the C code."
        )
    return made


def _call(arguments: list[str]) -> tuple[int, str]:
    """Exit status and complaints of a program, which ends when this function does."""
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C reaches us alone, and we stop what the compiler started
    )
    try:
        said = process.communicate()[1]
        return process.returncode, said
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
