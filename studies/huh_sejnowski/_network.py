"""Networks of differentiable synapses, and their gradient beside differences of Brian2's runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from brian2 import Network, NeuronGroup, StateMonitor, Synapses, TimedArray, ms
from jaxtyping import Float

import mirrorneuron as mn
from mirrorneuron.bio.synapses import DifferentiableSynapse

Values = Mapping[str, Float[np.ndarray, " _"]]
Loss = Callable[[Any], Any]
TRAINED = ("feed.w", "back.w", "read.w")
STIMULUS, READOUT = "stimulus.x", "readout.o"


@dataclass(frozen=True)
class Wiring:
    """Inputs, cells that act on each other, and readouts.

    Arguments:
        equations: Of the cells, with the currents `feed` and `back` [1/ms].
        synapse: Of the cells, with the traces s (of the readout) and fast (among the cells).
        method: Integrator.
        cells, inputs, outputs: Numbers of each.
        dt: Time step [ms].
        trained: Names of what is trained.
    """

    equations: str
    synapse: DifferentiableSynapse
    method: str
    cells: int
    inputs: int
    outputs: int
    dt: float
    trained: tuple[str, ...] = TRAINED

    def network(self, values: Values, x: Float[np.ndarray, "time input"] | None = None) -> Network:
        """The network.

        Arguments:
            values: Values by "object.name".
            x: Inputs at each step, as a part of the network; else they are given to each run.
        """
        dt = self.dt * ms
        cells = NeuronGroup(
            self.cells, f"{self.equations}\nfeed : 1\nback : 1\n{self.synapse.equations}",
            threshold="v > 1", reset=self.synapse.on_reset, method=self.method, dt=dt,
            name="cells", namespace={},
        )  # fmt: skip
        given = "x : 1" if x is None else "x = signal(t, i) : 1"
        space = {} if x is None else {"signal": TimedArray(x, dt=dt)}
        stimulus = NeuronGroup(self.inputs, given, dt=dt, name="stimulus", namespace=space)
        readout = NeuronGroup(self.outputs, "o : 1", dt=dt, name="readout")
        ways = [
            self._way("feed", stimulus, cells, "feed_post = w*x_pre : 1 (summed)", space),
            self._way("back", cells, cells, "back_post = w*fast_pre : 1 (summed)"),
            self._way("read", cells, readout, "o_post = w*s_pre : 1 (summed)"),
        ]
        made = Network(cells, stimulus, readout, *ways)
        for key, value in values.items():
            owner, _, name = key.partition(".")
            setattr(made[owner], name, value)
        return made

    def _way(self, name: str, pre: Any, post: Any, sums: str, names: Any = None) -> Any:
        made: Any = Synapses(
            pre, post, f"w : 1\n{sums}", dt=self.dt * ms, name=name, namespace=names or {}
        )
        made.connect("i != j" if pre is post else True)
        return made

    def mirror(self, values: Values, x: Any = None, **options: Any) -> mn.Mirror:
        """Its mirror; no gradient passes through the reset, as none has to."""
        options = {"train": self.trained, "dtype": torch.float64} | options
        return mn.mirror(self.network(values, x), reset_gradient="detach", **options)

    def steps(self, duration: float) -> int:
        """Steps in a time [ms]."""
        return round(duration / self.dt)

    def matrices(self, values: Values) -> dict[str, Float[np.ndarray, "post pre"]]:
        """Weights by the name of the synapses."""
        found: dict[str, Float[np.ndarray, "post pre"]] = {}
        sizes = {"feed": (self.inputs, self.cells), "read": (self.cells, self.outputs)}
        for name, (pre, post) in sizes.items():
            found[name] = np.reshape(values[f"{name}.w"], (pre, post)).T
        off = ~np.eye(self.cells, dtype=bool)
        found["back"] = np.zeros((self.cells, self.cells))
        found["back"].T[off] = values["back.w"]
        return found

    def trained_values(self, model: mn.Mirror, start: Values) -> dict[str, Any]:
        """All values, those that were trained as they are now."""
        now = {key: model.parameter(key).detach().double().numpy() for key in self.trained}
        return {**start, **now}

    def gradient_error(
        self, values: Values, x: Float[np.ndarray, "time input"], duration: float, loss: Loss,
        seed: int,
    ) -> float:  # fmt: skip
        """Largest relative difference between a gradient and differences of Brian2's runs.

        For each parameter, the derivative along a random direction; Brian2 runs with the parameter
        a little further and a little less far along it.

        Arguments:
            values, x: The network, and its input.
            duration: Of the runs [ms].
            loss: Of the readouts, "time output".
            seed: Of the directions.
        """
        model = self.mirror(values, x)
        readout = model.run(duration * ms, record=[READOUT])[READOUT][:, 0]
        loss(readout).backward()
        found: list[float] = []
        for number, key in enumerate(self.trained):
            gradient = model.parameter(key).grad
            if gradient is None:
                raise ValueError(f"the loss does not depend on {key}")
            plain = gradient.numpy().ravel()
            rng = np.random.default_rng([seed, number])
            way = rng.normal(size=plain.size) * np.abs(values[key]).mean()
            truth = self._difference(values, key, way, x, duration, loss)
            found.append(abs(float(plain @ way) - truth) / abs(truth))
        return max(found)

    def _difference(
        self, values: Values, key: str, way: Float[np.ndarray, " _"], x: Any, duration: float,
        loss: Loss, h: float = 5e-6,
    ) -> float:  # fmt: skip
        """Derivative along a direction, by Richardson's combination of central differences."""

        def at(k: int) -> float:
            made = self.network({**values, key: values[key] + k * h * way}, x)
            seen = StateMonitor(made["readout"], "o", record=True)
            made.add(seen)
            made.run(duration * ms, namespace={})
            return float(loss(torch.from_numpy(np.asarray(seen.o).T.copy())))

        first, second = (at(k) - at(-k) for k in (1, 2))
        return (8 * first - second) / (12 * h)

    def in_brian2(
        self, values: Values, x: Float[np.ndarray, "time input"], duration: float
    ) -> bool:
        """Whether Brian2 has the mirror's spikes over a time [ms]."""
        made = self.network(values, x)
        twin = mn.mirror(made, dtype=torch.float64)
        return mn.validate(made, twin, duration * ms, namespace={}).ok
