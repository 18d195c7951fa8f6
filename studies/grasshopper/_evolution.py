"""The fit to a recording without gradients, by differential evolution of the coincidence factor."""

from typing import Any

import numpy as np
from brian2 import second
from jaxtyping import Float
from scipy.optimize import differential_evolution
from tqdm.auto import tqdm

from ._receptor import ReceptorStudy, Values, set_values
from ._recording import DURATION, Session, Times, late
from ._score import gamma

Points = Float[np.ndarray, "parameter candidate"]
MIDDLE: Values = {
    "tau_x": 0.5e-3, "tau_m": 1e-3, "tau_u": 20e-3, "k": 0.5, "b": 0.25, "c": 0.05, "a1": 2.0,
    "T1": 4e-3, "a2": 0.15, "T2": 40e-3, "a3": 0.015, "T3": 0.5, "a4": 0.0015, "T4": 4.0,
}  # fmt: skip


def evolve(
    study: ReceptorStudy, session: Session, simulated: float, progress: bool
) -> list[tuple[dict[str, float], float]]:
    """Values and latency found by differential evolution of the coincidence factor.

    It gets as many simulated seconds as the gradient, rounded up, and the best latency of
    each candidate for nothing. The gain is fixed: a neuron without noise has one scale less.
    """
    names = list(MIDDLE)
    generations = max(1, int(np.ceil(study.budget * simulated / (len(names) * DURATION))))
    network = study.network(session, len(names))
    network.store()

    def losses(points: Points) -> Float[np.ndarray, " candidate"]:
        network.restore()
        set_values(network["receptor"], decode(points))
        network.run(DURATION * second, namespace={})
        trains = network["spikes"].spike_trains()
        found = [best_latency(study, session, np.array(trains[i] / second)) for i in trains]
        return -np.array([gamma for gamma, _ in found])[: points.shape[1]]

    fits: list[tuple[dict[str, float], float]] = []
    for k in tqdm(range(study.repeats), desc="gradient-free", disable=not progress):
        best = differential_evolution(
            losses,
            [(0, 1)] * len(names),
            popsize=1,
            maxiter=generations - 1,
            rng=study.seed + k,
            polish=False,
            tol=0,
            vectorized=True,
            updating="deferred",
        )
        values = {name: float(x[0]) for name, x in decode(best.x[:, None]).items()}
        free = study.simulate(session, values, 0.0)
        fits.append((values, best_latency(study, session, free)[1]))
    return fits


def best_latency(study: ReceptorStudy, session: Session, spikes: Times) -> tuple[float, float]:
    """Highest coincidence factor over latencies near the usual one, and that latency."""
    latencies = study.latency + np.arange(-4, 5) * study.dt
    return max((gamma(session.spikes, late(spikes, x), 4e-3), float(x)) for x in latencies)


def decode(points: Points) -> dict[str, Any]:
    """Values from points in the unit cube: a factor of five on either side of MIDDLE."""
    names = list(MIDDLE)
    values = {n: MIDDLE[n] * 25 ** (x - 0.5) for n, x in zip(names, points, strict=True)}
    k, b = (points[names.index(name)] for name in "kb")
    return {**values, "k": k, "b": 4.5 * b - 2, "g": np.ones(points.shape[1])}
