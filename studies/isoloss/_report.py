"""Metrics, tables and figures of the study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from mirrorneuron.analysis.plot import BAD, EXCITATORY, REFERENCE

from .._contracts import Metric, Result
from .._kit.figure import draw_all, spaced
from .._kit.report import publish, verdicts
from .._kit.seeds import OverSeeds, seeds_table
from ._encoder import Outcome
from ._linear import COLLAPSING, Case, Course, Linear
from ._loss import Loss

DEVIATION, PROBE, BEHIND, COLLAPSED = 0.02, 0.80, 0.10, 1e-2
NAMES: Mapping[Loss, str] = {"iso": "IsoLoss", "direct": "DirectPred"}
COLORS: Mapping[Loss, str] = {"iso": EXCITATORY, "direct": BAD}


class Simulated(NamedTuple):
    """Eigenvalues over time in one linear network."""

    linear: Linear
    found: Course


@dataclass(frozen=True)
class Found:
    """Results.

    Arguments:
        linear: Simulations of the linear network, by case.
        trained: Trainings on pictures, by loss and seed.
        data: Name of the pictures.
    """

    linear: Mapping[Case, Simulated]
    trained: Mapping[Loss, Sequence[Outcome]]
    data: str

    def accuracy(self, loss: Loss) -> list[float]:
        """Of the probe after training, by seed."""
        return [outcome.accuracy[-1] for outcome in self.trained[loss]]

    def participation(self, loss: Loss) -> list[float]:
        """Participation ratio after training, by seed."""
        return [outcome.participation[-1] for outcome in self.trained[loss]]

    def metrics(self) -> dict[str, Metric]:
        """Everything beside its target."""
        made: dict[str, Metric] = {}
        for case, (linear, found) in self.linear.items():
            made[f"deviation_{case}"] = Metric.below(linear.deviation(found), "1", DEVIATION)
            if case in COLLAPSING:
                left = float(found[-1].max())
                made[f"eigenvalue_{case}"] = Metric.below(left, "1", COLLAPSED)
        iso, direct = (OverSeeds(self.accuracy(loss)).mean for loss in ("iso", "direct"))
        made["probe_iso"] = Metric.at_least(iso, "1", PROBE)
        made["probe_direct"] = Metric(direct, "1")
        made["probe_untrained"] = Metric(
            OverSeeds([outcome.accuracy[0] for outcome in self.trained["iso"]]).mean, "1"
        )
        made["probe_ahead"] = Metric.at_least(iso - direct, "1", BEHIND)
        for loss in self.trained:
            found = OverSeeds(self.participation(loss)).mean
            made[f"participation_{loss}"] = Metric(found, "1")
        return made


def report_on(out: Path, found: Found, about: str) -> Result:
    """Metrics, tables, figures and the page."""
    metrics = found.metrics()
    figures = draw_all(out, found, (draw_eigenvalues, draw_participation, draw_spectrum))
    right = seeds_table(
        f"Embeddings of {spaced(found.data)} after training",
        ("loss", "linear probe (%)", "participation ratio"),
        {
            NAMES[loss]: [[100 * x for x in found.accuracy(loss)], found.participation(loss)]
            for loss in found.trained
        },
    )
    title = "Implicit variance regularisation"
    return publish(out, title, metrics, (verdicts(metrics), right), figures, about)


# ---- figures

TITLES: Mapping[Case, str] = {
    "direct": "DirectPred",
    "iso": "IsoLoss",
    "no_predictor": "no predictor",
    "no_stop_gradient": "no stop-gradient",
}


def draw_eigenvalues(found: Found) -> Figure:
    """Eigenvalues of the covariance of a linear network's embeddings while it learns: simulated
    with gradients of the losses on fresh samples (colour), and by the equations (dashed).
    """
    figure, axes = plt.subplots(
        1, len(found.linear), figsize=(10, 2.8), layout="constrained", sharey=True
    )
    for ax, (case, (linear, course)) in zip(axes, found.linear.items(), strict=True):
        ax.plot(linear.time, course, color=BAD if case in COLLAPSING else EXCITATORY, linewidth=2)
        ax.plot(linear.time, linear.predicted(), "--", color=REFERENCE, linewidth=1)
        ax.axhline(1 / (1 + linear.noise), color="0.7", linewidth=0.8, zorder=0)
        ax.set(title=TITLES[case], xlabel="time (learning rate × steps)", xlim=(0, linear.duration))
    axes[0].set_ylabel("eigenvalue")
    return figure


def draw_participation(found: Found) -> Figure:
    """Participation ratio of the embeddings of the test's pictures over training, one line a seed:
    the number of dimensions that they fill.
    """
    figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for loss, outcomes in found.trained.items():
        for k, outcome in enumerate(outcomes):
            ax.plot(
                outcome.participation, ".-", color=COLORS[loss], label=None if k else NAMES[loss]
            )
    ax.set(xlabel="epoch", ylabel="participation ratio", ylim=(0, None))
    ax.legend()
    return figure


def draw_spectrum(found: Found) -> Figure:
    """Eigenvalues of the covariance of the embeddings after training, largest first, over the
    largest one; one line a seed.
    """
    figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for loss, outcomes in found.trained.items():
        for k, outcome in enumerate(outcomes):
            values = np.maximum(outcome.spectrum, 0) / outcome.spectrum[0]
            ax.plot(
                np.arange(1, len(values) + 1), values, color=COLORS[loss],
                label=None if k else NAMES[loss],
            )  # fmt: skip
    ax.set(xlabel="eigenvalue", ylabel="share of the largest", yscale="log", ylim=(1e-6, 2))
    ax.legend()
    return figure
