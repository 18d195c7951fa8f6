"""Single rules of plasticity: the change of a weight by one pair of spikes, and its drift."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Hz, Network, PoissonGroup, SpikeGeneratorGroup, defaultclock, ms, nS, second
from jaxtyping import Float

from mirrorneuron.bio import PlasticityRule, neurons, synapses
from mirrorneuron.bio.simulate import simulate

RECEPTOR = synapses["alpha_conductance"]
LAGS = np.arange(-50, 251, 2)  # of a climbing-fibre spike after that of the parallel fibre [ms]
SHARES = (0.25, 0.5, 1.0, 1.5, 2.0)  # of the neutral rate
FREE: dict[str, Any] = {
    "w": 0 * nS, "unit": nS, "w_min": -1e6 * nS, "w_max": 1e6 * nS, "name": "learning",
}  # fmt: skip
STEP = 0.5e-3  # time step [s]


@dataclass(frozen=True)
class Drift:
    """Drift of weights under Poisson trains.

    Arguments:
        rates: Of the climbing fibres [Hz].
        found: Mean change a second, in units of the rule.
        error: Standard error of it.
        derived: The same in closed form.
        neutral: Derived rate without drift [Hz].
    """

    rates: Float[np.ndarray, " rate"]
    found: Float[np.ndarray, " rate"]
    error: Float[np.ndarray, " rate"]
    derived: Float[np.ndarray, " rate"]
    neutral: float

    @property
    def crossing(self) -> float:
        """Rate without drift, of a line through what was found [Hz]."""
        steep, level = np.polyfit(self.rates, self.found, 1, w=1 / self.error)
        return float(-level / steep)


def lesson(rule: PlasticityRule, source: Any, teacher: Any) -> Network:
    """Silent cells, a synapse on each from a source of its own, and what teaches it."""
    each, model = np.arange(len(source)), rule.taught(neurons["lif"])
    cells = model.group(
        len(each), name="cells", receptors={"pf": RECEPTOR}, method="exponential_euler"
    )
    taught = rule.teach(teacher, cells, i=each, j=each, name="lesson")
    learning = rule.connect(source, cells, RECEPTOR, "pf", i=each, j=each, **FREE)
    return Network(source, teacher, cells, taught, learning)


def kernel_of(rule: PlasticityRule) -> tuple[Any, Any]:
    """Change of a weight by one pair of spikes at each of `LAGS`, and what the rule derives."""
    each, first = np.arange(len(LAGS)), 100

    def build() -> Network:
        source = SpikeGeneratorGroup(len(LAGS), each, np.full(len(LAGS), first) * ms, name="fibres")
        teacher = SpikeGeneratorGroup(len(LAGS), each, (first + LAGS) * ms, name="teacher")
        return lesson(rule, source, teacher)

    duration = first * 1e-3 + LAGS[-1] * 1e-3 + 0.25
    run = simulate(build, duration * second, "runtime", target="numpy", namespace={}, report=None)
    late = 1e-4 if rule.teaching and rule.teaching.threshold else 0.0  # spikes a step later
    lags = (np.array([lag * 1e-3 + late]) for lag in LAGS)
    derived = [rule.change(np.zeros(1), lag, rule.values()) for lag in lags]
    return run.final["learning.w"] * 1e9, np.array(derived)


def drift_of(rule: PlasticityRule, duration: float, synapses: int, seed: int) -> Drift:
    """Weights under Poisson trains of 5 Hz, with climbing fibres around the neutral rate.

    Arguments:
        rule: The rule.
        duration: Of the trains [s].
        synapses: For each rate of the climbing fibres.
        seed: Of the trains.
    """
    neutral = float(rule.neutral_rate() / Hz)
    rates = np.repeat(SHARES, synapses) * neutral

    def build() -> Network:
        defaultclock.dt = STEP * second
        source = PoissonGroup(len(rates), 5 * Hz, name="fibres")
        teacher = PoissonGroup(len(rates), rates * Hz, name="teacher")
        return lesson(rule, source, teacher)

    run = simulate(build, duration * second, "cpp", seed=seed, spikes=[], namespace={}, report=None)
    changed = (run.final["learning.w"] * 1e9 / duration).reshape(len(SHARES), -1)
    given, p = np.array(SHARES) * neutral, rule.values()
    return Drift(
        rates=given,
        found=changed.mean(1),
        error=changed.std(1) / np.sqrt(synapses),
        derived=np.array([rule.drift(5.0, float(rate), p) for rate in given]),
        neutral=neutral,
    )
