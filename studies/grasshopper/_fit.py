"""The fit to a recording: by the gradient of its likelihood, and without gradients by evolution."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import ms, second
from jaxtyping import Float
from scipy.optimize import differential_evolution
from torch.optim import LBFGS
from tqdm.auto import tqdm

from mirrorneuron import Mirror, Positive, fit_recording, mirror
from mirrorneuron.bridge.parameter import Free

from ._receptor import START, TIMES, ReceptorStudy, Values, set_values
from ._recording import DURATION, Session, Times, late
from ._score import gamma

Points = Float[np.ndarray, "parameter candidate"]
MIDDLE: Values = {
    "tau_x": 0.5e-3, "tau_m": 1e-3, "tau_u": 20e-3, "k": 0.5, "b": 0.25, "c": 0.05, "a1": 2.0,
    "T1": 4e-3, "a2": 0.15, "T2": 40e-3, "a3": 0.015, "T3": 0.5, "a4": 0.0015, "T4": 4.0,
}  # fmt: skip


@dataclass(frozen=True)
class Fitted:
    """What the fit on recording 1 gave.

    Arguments:
        model: Mirror of the network, with the values that were found.
        losses: Loss of each step.
        shift: Shift of the bias for the free neuron.
        simulated: Seconds simulated in all, by which the gradient-free fit is measured.
    """

    model: Mirror
    losses: list[float]
    shift: float
    simulated: float


def fit(study: ReceptorStudy, session: Session, checkpoint: Path, progress: bool) -> Fitted:
    """Follow the gradient of the likelihood, then shift the bias of the free neuron."""
    limits = {f"receptor.{name}": Free() if name == "b" else Positive() for name in START}
    model = mirror(study.network(session), train=limits, dtype=torch.float64, namespace={})
    fired = np.zeros((len(session.sound), 1))
    fired[session.steps(study.latency)] = 1
    found = fit_recording(
        model,
        {"sound": session.sound[:, None]},
        fired,
        window=study.window * second,
        warm_up=study.warm_up * second,
        escape=(1, 1 / ms),
        pull=study.shrink,
        starts=[scattered_start(study)],
        steps=study.steps,
        optimizer=lambda x: LBFGS(x, max_iter=1, max_eval=20, line_search_fn="strong_wolfe"),
        checkpoint=checkpoint,
        report="text" if progress else None,
        seed=study.seed,
    ).best
    shift = shift_of_bias(study, session, model)
    with torch.no_grad():
        model.parameter("receptor.b").add_(shift)
    simulated = found.simulated + len(study.shifts) * DURATION
    return Fitted(model, list(found.losses), shift, simulated)


def scattered_start(study: ReceptorStudy) -> dict[str, Any]:
    """Values to start from, scattered around the usual ones."""
    rng = np.random.default_rng(study.seed)
    scattered = {n: x * float(np.exp(study.spread * rng.normal())) for n, x in START.items()}
    units = {name: second if name in TIMES else 1 for name in START}
    return {f"receptor.{name}": x * units[name] for name, x in scattered.items()}


def shift_of_bias(study: ReceptorStudy, session: Session, model: Mirror) -> float:
    """Shift of the bias with which free runs of recording 1 have as many spikes as recorded."""
    network = study.network(session, len(study.shifts))
    cells = network["receptor"]
    set_values(cells, {n: model.parameter(f"receptor.{n}").item() for n in START})
    cells.b = cells.b_ + np.array(study.shifts)
    network.run(DURATION * second, namespace={})
    counts = np.maximum.accumulate(network["spikes"].count[:])
    return float(np.interp(len(session.spikes), counts, study.shifts))


# ---- without gradients


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
