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
from pathlib import Path
from typing import Any

from mirrorneuron.errors import BuildError

from .stepper_code import source
from .stepper_populations import (
    NeuronModel,
    Neurons,
    Synapses,
    arrays,
    create_neuron_model,
    create_var_ref,
    create_weight_update_model,
    init_postsynaptic,
    init_weight_update,
)

__all__ = [  # of PyGeNN
    "GeNNModel",
    "create_neuron_model",
    "create_var_ref",
    "create_weight_update_model",
    "init_postsynaptic",
    "init_weight_update",
]
FLAGS = ("-O1", "-fPIC", "-shared", "-ffp-contract=off", "-std=c99", "-w")


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
        self.library = ctypes.CDLL(
            str(compiled(source(self.neuron_populations, self.synapse_populations), Path(path)))
        )

    def load(self, num_recording_timesteps: int) -> None:
        """Allocate."""
        self.block = num_recording_timesteps
        for neurons in self.neuron_populations.values():
            neurons.allocate(self.block)
        for synapses in self.synapse_populations.values():
            synapses.allocate()
        self.held = list(
            arrays(self.neuron_populations.values(), self.synapse_populations.values())
        )
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
