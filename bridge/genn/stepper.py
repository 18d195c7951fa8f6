"""Stepper: a small C program behind PyGeNN's interface, which executes the same model strings.

It is a tier of correctness, not of speed: it shows that the strings mean what Brian2 means, where
GeNN is not installed. It offers the part of PyGeNN 5 that `run` uses, in GeNN's order: dynamics of
all synapses, presynaptic spikes, postsynaptic spikes, neurons. Everything is computed in double
precision. Nothing of it is GeNN's code.
"""

import ctypes
from pathlib import Path
from typing import Any

from ..compile_c import library
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
FLAGS = ("-O1", "-fPIC", "-shared", "-ffp-contract=off", "-std=c99", "-w", "-lm")
REMEDY = "write backend='runtime', target='numpy', which compiles nothing"


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
        text = source(self.neuron_populations, self.synapse_populations)
        self.library = library(text, FLAGS, "stepper", REMEDY, Path(path) / "stepper.c")

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
