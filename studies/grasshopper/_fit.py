"""The fit to a recording, by the gradient of the likelihood of its spikes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import ms, second
from torch.optim import LBFGS

from mirrorneuron import Mirror, Positive, fit_recording, mirror
from mirrorneuron.bridge.parameter import Free

from ._receptor import START, TIMES, ReceptorStudy, set_values
from ._recording import DURATION, Session


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
