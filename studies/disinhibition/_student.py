r"""A student that learns the outputs of a teacher while it is controlled, all in Brian2 equations.

Each neuron of the layers is a pair, with an open-loop twin that has the same weights and no
feedback: what the student does by itself.

    τ_E u̇_E = −u_E + Σ w h + b − φ_I(u_I)       h = φ_E(u_E)
    τ_I u̇_I = −u_I + φ_E(u_E) − Σ q c
    τ_c ż = e − λ z                             e = target − y,   c = k_p e + k_i z
    τ_W ẇ = φ_E′(u_E) [φ_E(u_E) − T(φ_I(u_I))] h    T = φ_I⁻¹, or its tangent
    τ_Q q̇ = −q + Q ∂y/∂u_E φ_I′ / ‖∂y/∂u_E φ_I′‖

Source: Rossbroich & Zenke 2023, sections 3 and 4.1, arXiv:2310.19614, doi:10.48550/arXiv.2310.19614
and its code, fmi-basel/disinhibitory-control.
Differs from it: the slope is taken at $u_E$ (the code has $\varphi_E'(r_E)$); the line is the
tangent of $\varphi_I^{-1}$ at the twin's inhibitory rate (the code has one line for all, of
$\varphi_E$ at 0.5, over $u_I$); Euler's method. Layers are pairs, the output too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from brian2 import Hz, Network, NeuronGroup, Synapses, second
from jaxtyping import Float

import mirrorneuron as mn

from .._kit.file import whole
from ._activation import Softplus

EXCITATORY, INHIBITORY = Softplus(5.0), Softplus(1.0)
Rule = Literal["exact", "linear"]
NAMESPACE: Mapping[str, Any] = {
    "tau_E": 20e-3 * second, "tau_I": 5e-3 * second, "tau_c": 100e-3 * second,
    "tau_W": 60 * second, "tau_Q": 30 * second, "k_p": 30.0, "k_i": 15.0, "leak": 0.5,
    "norm": 7.5,
}  # fmt: skip


def pair(suffix: str, drive: str, feedback: str) -> str:
    """Equations of an excitatory neuron and its inhibitory partner."""
    e, i = f"u_E{suffix}", f"u_I{suffix}"
    return f"""
    d{e}/dt = (-{e} + {drive} + b - r_I{suffix})/tau_E : 1
    d{i}/dt = (-{i} + r_E{suffix} - {feedback})/tau_I : 1
    r_E{suffix} = {EXCITATORY.text(e)} : 1 (constant over dt)
    r_I{suffix} = {INHIBITORY.text(i)} : 1 (constant over dt)
    """


def layer(rule: Rule, drive: str) -> str:
    """Equations of a layer of the student; `drive` is the input of the twin."""
    threshold = {
        "exact": INHIBITORY.inverse_text("r_I"),
        "linear": "(u_I_free + (r_I - r_I_free)/slope_I_free)",
    }[rule]
    return f"""
    {pair("", "I", "top")}
    {pair("_free", drive, "0")}
    db/dt = rate*change : 1
    change = slope*(r_E - {threshold}) : 1 (constant over dt)
    rate = int(t >= rest)/tau_W : Hz
    slope = {EXCITATORY.slope_text("u_E")} : 1 (constant over dt)
    slope_I_free = {INHIBITORY.slope_text("u_I_free")} : 1 (constant over dt)
    slope_I = {INHIBITORY.slope_text("u_I")} : 1 (constant over dt)
    I : 1
    """


HIDDEN = "top : 1"
OUTPUT = """
I_free : 1
top = q_own*c : 1
error = (target - r_E)*int(t >= rest) : 1
dz/dt = (error - leak*z)/tau_c : 1
c = k_p*error + k_i*z : 1
dq_own/dt = (-q_own + norm*slope*slope_I/sqrt(own))/tau_Q : 1
target : 1
own : 1
squares : 1
total : 1
"""
INPUT = """
x = amplitude*sin(2*pi*frequency*t + phase) : 1 (constant over dt)
amplitude : 1 (constant)
frequency : Hz (constant)
phase : 1 (constant)
"""


@dataclass(frozen=True)
class Sizes:
    """Numbers of neurons."""

    inputs: int = 30
    hidden: int = 20
    outputs: int = 2


@dataclass(frozen=True)
class Learning:
    """One student.

    Arguments:
        rule: "exact" or "linear".
        seed: Of inputs and weights.
        duration: Of the learning [s].
        rest: Before it, while the feedback weights are learnt [s].
        dt: Time step [s].
        sizes: Numbers of neurons.
        spread: Of the weights, times one over the root of the number of inputs.
    """

    rule: Rule
    seed: int
    duration: float = 300.0
    rest: float = 20.0
    dt: float = 0.2e-3
    sizes: Sizes = Sizes()
    spread: float = 2.0

    def build(self) -> Network:
        """Inputs, teacher and student as one network."""
        n, step = self.sizes, self.dt * second
        rng = np.random.default_rng(self.seed)
        names = {**NAMESPACE, "rest": self.rest * second}
        common: dict[str, Any] = {"method": "euler", "dt": step, "namespace": names}
        inputs = NeuronGroup(n.inputs, INPUT, name="inputs", **common)
        inputs.amplitude = rng.uniform(0.1, 1.0, n.inputs)
        inputs.frequency = rng.uniform(0.1, 2.0, n.inputs) * Hz
        inputs.phase = rng.uniform(0, np.pi, n.inputs)
        hidden = NeuronGroup(n.hidden, layer(self.rule, "I") + HIDDEN, name="hidden", **common)
        output = NeuronGroup(
            n.outputs, layer(self.rule, "I_free") + OUTPUT, name="output", **common
        )
        teachers = [
            NeuronGroup(size, pair("", "I", "0") + "I : 1\nb : 1", name=name, **common)
            for name, size in (("teacher_hidden", n.hidden), ("teacher_output", n.outputs))
        ]
        ih = Synapses(
            inputs, hidden, "dw/dt = rate_post*change_post*x_pre : 1 (clock-driven)\n"
            "I_post = w*x_pre : 1 (summed)", name="ih", **common,
        )  # fmt: skip
        ho = Synapses(hidden, output, PLASTIC, name="ho", **common)
        fixed = [
            Synapses(inputs, teachers[0], "w : 1\nI_post = w*x_pre : 1 (summed)", name="teacher_ih",
                     **common),
            Synapses(teachers[0], teachers[1], "w : 1\nI_post = w*r_E_pre : 1 (summed)",
                     name="teacher_ho", **common),
        ]  # fmt: skip
        shown = Synapses(
            teachers[1], output, "target_post = r_E_pre : 1 (summed)", name="shown", **common
        )
        norms = Synapses(output, output, NORMS, name="norms", **common)
        for some in (ih, ho, *fixed, norms):
            some.connect()
        shown.connect(j="i")
        for first, second_, cells in ((ih, ho, (hidden, output)), (*fixed, teachers)):
            self._draw(rng, (first, second_), cells)
        output.q_own = self._feedback(ho)
        return Network(inputs, hidden, output, *teachers, ih, ho, *fixed, shown, norms)

    def _draw(self, rng: np.random.Generator, synapses: Any, cells: Any) -> None:
        """Weights and biases of a network."""
        for some, group, size in zip(
            synapses, cells, (self.sizes.inputs, self.sizes.hidden), strict=True
        ):
            some.w = rng.normal(0, self.spread / size**0.5, len(some))
            group.b = rng.normal(0, self.spread / len(group) ** 0.5, len(group))

    def _feedback(self, ho: Synapses) -> float:
        """Feedback weights of the state in which all potentials are 0."""
        w = np.asarray(ho.w)
        ho.q = NAMESPACE["norm"] * w / np.sqrt((w**2).sum())
        return NAMESPACE["norm"] / self.sizes.outputs**0.5


PLASTIC = """
dw/dt = rate_post*change_post*r_E_pre : 1 (clock-driven)
I_post = w*r_E_pre : 1 (summed)
I_free_post = w*r_E_free_pre : 1 (summed)
top_pre = q*c_post : 1 (summed)
jacobian = w*slope_post*slope_pre*slope_I_pre : 1
squares_post = jacobian**2 : 1 (summed)
dq/dt = (-q + norm*jacobian/sqrt(total_post))/tau_Q : 1 (clock-driven)
"""
NORMS = """
total_post = squares_pre : 1 (summed)
own_post = (slope_pre*slope_I_pre)**2 : 1 (summed)
"""


EVERY = 5e-3  # between two samples of the outputs [s]
WINDOW = 5.0  # over which errors are taken, an epoch of the source [s]


@dataclass(frozen=True)
class Learnt:
    """What a student did.

    Arguments:
        free: Mean squared error of the open-loop twin, summed over outputs, in each window; the
            first is the last one without learning.
        controlled: The same of the controlled student, from the onset of control.
        first, last: Target, controlled and free output in the first and the last window of the
            learning, "signal time output".
    """

    free: Float[np.ndarray, " window"]
    controlled: Float[np.ndarray, " other"]
    first: Float[np.ndarray, "3 time output"]
    last: Float[np.ndarray, "3 time output"]

    @property
    def unexplained(self) -> float:
        """Share of the variance of the teacher that the student by itself misses at the end."""
        target, _, free = self.last
        return float(((free - target) ** 2).mean(0).sum() / target.var(0).sum())

    def save(self, path: Path) -> None:
        """Write a file, complete or not at all."""
        with whole(path, "wb") as file:
            np.savez(file, **vars(self))

    @staticmethod
    def load(path: Path) -> "Learnt":
        """Read it."""
        with np.load(path) as held:
            return Learnt(**held)


def learn(learning: Learning) -> Learnt:
    """Run a student."""
    names = [f"output.{name}" for name in ("target", "r_E", "r_E_free")]
    ran = mn.simulate(
        learning.build, (learning.rest + learning.duration) * second, "native", names,
        interval=EVERY * second, namespace={}, report=None,
    )  # fmt: skip
    signals = np.array([ran[name] for name in names])
    wide = round(WINDOW / EVERY)
    start = round(learning.rest / EVERY)

    def errors(output: int, begin: int) -> Float[np.ndarray, " _"]:
        squares = ((signals[output] - signals[0]) ** 2).sum(1)[begin:]
        return squares[: len(squares) // wide * wide].reshape(-1, wide).mean(1)

    return Learnt(
        errors(2, start - wide), errors(1, start),
        signals[:, start : start + wide], signals[:, -wide:],
    )  # fmt: skip
