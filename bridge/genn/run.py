"""Run a model with PyGeNN, or with whatever has its interface, and bring the arrays back."""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .model import Array, Model, Neurons, Projection, Source

BLOCK = 1000
DELTA = "DeltaCurr"
FLAGS = "-O3 -march=native -ffp-contract=off"


@dataclass(frozen=True)
class Ran:
    """What a run gave.

    Arguments:
        step, index: By group, step and neuron of each spike.
        samples: By key of the Program, "time element".
        final: By key of the Program, the values at the end.
    """

    step: dict[str, Array] = field(default_factory=dict[str, Array])
    index: dict[str, Array] = field(default_factory=dict[str, Array])
    samples: dict[str, Array] = field(default_factory=dict[str, Array])
    final: dict[str, Array] = field(default_factory=dict[str, Array])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to run.

    Arguments:
        steps: Length of the run in steps.
        every: Steps between two samples.
        rows: Elements that are recorded, by key: of neurons' variables or of synapses'.
        spikes: Groups whose spikes are recorded.
        precision: "double" or "float".
        backend: PyGeNN's name of the hardware, or None for its own choice.
        seed: Seed of the random numbers of the model itself.
    """

    steps: int
    every: int
    rows: Mapping[str, Array]
    spikes: Sequence[str]
    precision: str = "double"
    backend: str | None = None
    seed: int = 0


def run(
    library: Any,
    model: Model,
    plan: Plan,
    place: Path,
    built: Callable[[], None] = lambda: None,
    advance: Callable[[float], None] = lambda fraction: None,
) -> Ran:
    """Build a model in `place`, step it, and read what it left.

    Brian2's last step is complete when the next one of GeNN has begun: one more step is made, in
    which nothing is integrated.

    Arguments:
        library: `pygenn`, or `stepper`.
        model: What to run.
        plan: How long, and what to record.
        place: Directory of the build.
        built: Called when the model is ready to run.
        advance: Called with the fraction that is done.
    """
    machine = _Machine(library, model, plan, place)
    built()
    try:
        return machine.run(advance)
    finally:
        machine.genn.unload()


@contextmanager
def compiler_flags() -> Generator[None]:
    """Let GeNN's makefile optimise, by the name of the compiler, which it takes from outside.

    For a CPU GeNN compiles without any optimisation or, if asked, with one that changes numbers
    (-ffast-math).
    """
    given = os.environ.get("CXX")
    os.environ["CXX"] = f"{given or 'g++'} {FLAGS}"
    try:
        yield
    finally:
        if given is None:
            del os.environ["CXX"]
        else:
            os.environ["CXX"] = given


class _Machine:
    """A model, built and loaded."""

    def __init__(self, library: Any, model: Model, plan: Plan, place: Path) -> None:
        self.library, self.model, self.plan = library, model, plan
        options = {} if plan.backend is None else {"backend": plan.backend}
        self.genn = library.GeNNModel(plan.precision, "network", time_precision="double", **options)
        self.genn.dt, self.genn.seed = model.dt, plan.seed
        self.groups: dict[str, Any] = {}
        self.synapses: dict[str, Any] = {}
        for number, neurons in enumerate(model.neurons.values()):
            self._add_neurons(f"neurons_{number}", neurons)
        for number, source in enumerate(model.sources.values()):
            self._add_source(f"source_{number}", source)
        for number, projection in enumerate(model.projections.values()):
            self._add_projection(f"synapses_{number}", projection)
        for name in plan.spikes:
            self.groups[name].spike_recording_enabled = True
        self.block = max(1, min(BLOCK, plan.steps))
        place.mkdir(parents=True, exist_ok=True)
        with compiler_flags():
            self.genn.build(str(place))
        self.genn.load(num_recording_timesteps=self.block)

    def _add_neurons(self, title: str, neurons: Neurons) -> None:
        made = self.library.create_neuron_model(
            title,
            params=list(neurons.parameters),
            vars=[(name, stored.type) for name, stored in neurons.variables.items()],
            sim_code=neurons.code,
            threshold_condition_code=neurons.condition or None,
            additional_input_vars=[(name, "scalar", 0.0) for name in neurons.inputs],
            extra_global_params=[(name, "scalar*") for name in neurons.tables],
        )
        values = {name: stored.value for name, stored in neurons.variables.items()}
        group = self.genn.add_neuron_population(
            title, neurons.size, made, dict(neurons.parameters), values
        )
        group.set_param_dynamic("ongoing")
        self._set_tables(group, neurons.tables)
        self.groups[neurons.name] = group

    def _add_source(self, title: str, source: Source) -> None:
        order = np.lexsort((source.step, source.index))
        times = (source.step[order] - 0.001) * self.model.dt
        ends = np.cumsum(np.bincount(source.index, minlength=source.size))
        starts = np.concatenate([[0], ends[:-1]])
        group = self.genn.add_neuron_population(
            title, source.size, "SpikeSourceArray", {}, {"startSpike": starts, "endSpike": ends}
        )
        group.extra_global_params["spikeTimes"].set_init_values(times if len(times) else [0.0])
        self.groups[source.name] = group

    def _set_tables(self, group: Any, tables: Mapping[str, Array]) -> None:
        for name, values in tables.items():
            group.extra_global_params[name].set_init_values(values)

    def _add_projection(self, title: str, p: Projection) -> None:
        source, target = self.groups[p.pre], self.groups[p.post]
        made = self.library.create_weight_update_model(
            title,
            params=list(p.parameters),
            vars=[(name, stored.type) for name, stored in p.variables.items()],
            pre_neuron_var_refs=[(n, self._type(p.pre, v)) for n, v in p.pre_refs.items()],
            post_neuron_var_refs=[(n, self._type(p.post, v)) for n, v in p.post_refs.items()],
            pre_spike_syn_code=p.on_pre or None,
            pre_event_syn_code=p.on_event or None,
            pre_event_threshold_condition_code=p.event or None,
            post_spike_syn_code=p.on_post or None,
            synapse_dynamics_code=p.dynamics or None,
            extra_global_params=[(name, "scalar*") for name in p.tables],
        )
        refer = self.library.create_var_ref
        update = self.library.init_weight_update(
            made,
            dict(p.parameters),
            {name: stored.value for name, stored in p.variables.items()},
            {},
            {},
            {name: refer(source, variable) for name, variable in p.pre_refs.items()},
            {name: refer(target, variable) for name, variable in p.post_refs.items()},
        )
        post = self.library.init_postsynaptic(DELTA)
        made = self.genn.add_synapse_population(title, "SPARSE", source, target, update, post)
        made.set_sparse_connections(p.i, p.j)
        made.axonal_delay_steps, made.back_prop_delay_steps = p.axonal, p.back
        if p.target:
            made.post_target_var = p.target
        if p.longest:
            made.max_dendritic_delay_timesteps = p.longest + 1
        if p.on_post:
            made.max_source_connections = int(np.bincount(p.j).max())
        self._set_tables(made, p.tables)
        self.synapses[p.name] = made

    def _type(self, group: str, variable: str) -> str:
        return self.model.neurons[group].variables[variable].type

    # ---- the run

    def run(self, advance: Callable[[float], None]) -> Ran:
        """Make all steps."""
        ran, plan, block = Ran(), self.plan, self.block
        found: dict[str, list[tuple[Array, Array]]] = {name: [] for name in plan.spikes}
        samples: dict[str, list[Array]] = {key: [] for key in plan.rows}
        for step in range(plan.steps):
            self.genn.step_time()
            if step % plan.every == 0:
                for key, rows in plan.rows.items():
                    samples[key].append(self._sample(key)[rows])
            if (step + 1) % block == 0:
                self._collect(found)
                advance((step + 1) / plan.steps)
        for group in self.model.neurons:
            self.groups[group].set_dynamic_param_value("ongoing", 0.0)
        self.genn.step_time()
        ran.final.update(self._final())
        for _ in range(plan.steps + 1, block * -(-(plan.steps + 1) // block)):
            self.genn.step_time()
        self._collect(found)
        for name, parts in found.items():
            step = np.concatenate([s for s, _ in parts])
            kept = step < plan.steps
            ran.step[name] = step[kept]
            ran.index[name] = np.concatenate([i for _, i in parts])[kept]
        for key, rows in samples.items():
            ran.samples[key] = np.array(rows).reshape(-1, len(plan.rows[key]))
        return ran

    def _collect(self, found: dict[str, list[tuple[Array, Array]]]) -> None:
        """Bring the spikes of a block of steps, by step and neuron."""
        if not found:
            return
        self.genn.pull_recording_buffers_from_device()
        for name, parts in found.items():
            times, index = self.groups[name].spike_recording_data[0]
            step = np.rint(np.asarray(times) / self.model.dt).astype(np.int64)
            index = np.asarray(index, dtype=np.int64)
            order = np.lexsort((index, step))
            parts.append((step[order], index[order]))

    def _sample(self, key: str) -> Array:
        """Present values of a recorded variable, all of its elements."""
        group = key.split(".", 1)[0]
        if group in self.model.neurons:
            return self._pull(self.groups[group], self.model.neurons[group].samples[key])
        return self._synaptic(key)

    def _pull(self, group: Any, name: str) -> Array:
        variable = group.vars[name]
        variable.pull_from_device()
        return np.asarray(variable.current_values, dtype=float)

    def _synaptic(self, key: str) -> Array:
        """Values of a variable of synapses, in Brian2's order."""
        owner = key.split(".", 1)[0]
        parts = [p for p in self.model.projections.values() if p.owner == owner]
        whole = np.zeros(sum(len(p.i) for p in parts))
        for p in parts:
            name = next(n for n, stored in p.variables.items() if stored.key == key)
            self._place(whole, p, name)
        return whole

    def _place(self, whole: Array, p: Projection, name: str) -> None:
        variable = self.synapses[p.name].vars[name]
        variable.pull_from_device()
        order = np.lexsort((p.j, p.i))
        whole[p.edge[order]] = variable.values

    def _final(self) -> dict[str, Array]:
        """Values of all variables that change, at the end."""
        found: dict[str, Array] = {}
        for neurons in self.model.neurons.values():
            for name, stored in neurons.variables.items():
                if stored.key:
                    found[stored.key] = self._pull(self.groups[neurons.name], name)
        for p in self.model.projections.values():
            for stored in p.variables.values():
                if stored.key and stored.key not in found:
                    found[stored.key] = self._synaptic(stored.key)
        return found
