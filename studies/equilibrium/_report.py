"""Metrics, tables and figures of the study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from mirrorneuron.analysis import Table
from mirrorneuron.analysis.plot import BAD, EXCITATORY, GROUPS, REFERENCE

from .._contracts import Metric, Result
from .._kit.figure import draw_all, spaced
from .._kit.report import publish, verdicts
from .._kit.seeds import OverSeeds, seeds_table
from ._training import Outcome

STRENGTHS = (0.05, 0.5)
KNOWN = {
    (1, 0.05): 3.1e-2, (2, 0.05): 5e-4, (4, 0.05): 4e-7, (6, 0.05): 4e-10,
    (1, 0.5): 0.33, (2, 0.5): 0.05, (4, 0.5): 4e-3, (6, 0.5): 4.5e-4,
}  # fmt: skip
KNOWN_COSINES = {0.0: 1.0, 45.0: 0.29, 90.0: 0.08}
FACTOR, RIGHT, BEHIND, REGAINED, RELAXED = 3.0, 0.86, 0.05, 0.80, 1e-9
COLORS = {"symmetric": EXCITATORY, "without": BAD, "homeostasis": GROUPS[3]}
NAMES = {
    "symmetric": "transposes",
    "without": "90°, no homeostasis",
    "homeostasis": "90°, homeostasis",
}


@dataclass(frozen=True)
class Found:
    """Results.

    Arguments:
        errors: Relative errors over networks, by number of points and strength of the nudging.
        cosines: Of gradients over networks, by angle [degree].
        trained: Trainings by name and seed.
        data: Name of the pictures.
        deviation: Largest difference of fixed points from Brian2's relaxation.
    """

    errors: Mapping[tuple[int, float], Sequence[float]]
    cosines: Mapping[float, Sequence[float]]
    trained: Mapping[str, Sequence[Outcome]]
    data: str
    deviation: float

    @property
    def counts(self) -> list[int]:
        """Numbers of points."""
        return sorted({count for count, _ in self.errors})

    def accuracy(self, name: str) -> list[float]:
        """After training, by seed."""
        return [outcome.accuracy[-1] for outcome in self.trained[name]]

    def metrics(self) -> dict[str, Metric]:
        """Everything beside its target."""
        return {**self._law(), **self._training(), **self._brian()}

    def _law(self) -> dict[str, Metric]:
        made: dict[str, Metric] = {}
        low, high = STRENGTHS
        for count in self.counts:
            ends = [float(np.mean(self.errors[count, strength])) for strength in STRENGTHS]
            law, found = (high / low) ** count, ends[1] / ends[0]
            made[f"law_{count}"] = Metric(found, "1", law, law / FACTOR < found < FACTOR * law)
            for strength, value in zip(STRENGTHS, ends, strict=True):
                made[f"error_{count}_{strength:g}"] = Metric(value, "1", KNOWN[count, strength])
        for angle, cosines in self.cosines.items():
            known = KNOWN_COSINES.get(angle)
            made[f"cosine_{angle:g}"] = Metric(float(np.mean(cosines)), "1", known)
        return made

    def _training(self) -> dict[str, Metric]:
        means = {name: OverSeeds(self.accuracy(name)).mean for name in self.trained}
        best, worst, held = (means[name] for name in ("symmetric", "without", "homeostasis"))
        made = {
            "accuracy_symmetric": Metric.at_least(best, "1", RIGHT),
            "accuracy_without": Metric(worst, "1"),
            "accuracy_homeostasis": Metric(held, "1"),
            "accuracy_lost": Metric.at_least(best - worst, "1", BEHIND),
            "loss_regained": Metric.at_least(
                (held - worst) / (best - worst) if best > worst else float("nan"), "1", REGAINED
            ),
        }
        for name, outcomes in self.trained.items():
            last = OverSeeds([outcome.cosine[-1] for outcome in outcomes]).mean
            made[f"cosine_trained_{name}"] = Metric(last, "1")
        return made

    def _brian(self) -> dict[str, Metric]:
        return {"fixed_point_deviation": Metric.below(self.deviation, "1", RELAXED)}


def report_on(out: Path, found: Found, about: str) -> Result:
    """Metrics, tables, figures and the page."""
    metrics = found.metrics()
    figures = draw_all(out, found, (draw_law, draw_angles, draw_training))
    law = Table(
        "Relative error of the errors of all layers",
        ("points", "|β|", "found", "known of another network"),
        tuple(
            (
                str(count),
                f"{strength:g}",
                f"{np.mean(found.errors[count, strength]):.2g}",
                f"{known:.2g}",
            )
            for (count, strength), known in KNOWN.items()
        ),
    )
    right = seeds_table(
        f"Right answers in the test of {spaced(found.data)} (%)",
        ("feedback", "found", "cosine × 100"),
        {
            NAMES[name]: [
                [100 * x for x in found.accuracy(name)],
                [100 * outcome.cosine[-1] for outcome in outcomes],
            ]
            for name, outcomes in found.trained.items()
        },
    )
    title = "Equilibrium propagation and homeostasis"
    return publish(out, title, metrics, (verdicts(metrics), law, right), figures, about)


# ---- figures


def draw_law(found: Found) -> Figure:
    """Relative error of equilibrium propagation over the strength of the nudging, by the number of
    points on the circle, in random networks with transposes as feedback (one dot a network). Lines:
    powers of the strength with that number, through the means at the largest.
    """
    figure, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
    strengths = np.array(sorted({strength for _, strength in found.errors}))
    for color, count in zip(GROUPS[1:], found.counts, strict=False):
        end = np.mean(found.errors[count, float(strengths[-1])])
        law = end * (strengths / strengths[-1]) ** count
        ax.plot(strengths, law, color=color, linewidth=1, label=f"N = {count}")
        for strength in strengths:
            errors = found.errors[count, float(strength)]
            ax.plot([strength] * len(errors), errors, "o", color=color, markersize=4)
    ax.set(xlabel="strength of the nudging, |β|", ylabel="relative error", xscale="log",
           yscale="log")  # fmt: skip
    ax.set_xticks(strengths, [f"{strength:g}" for strength in strengths])
    ax.minorticks_off()
    ax.legend()
    return figure


def draw_angles(found: Found) -> Figure:
    """Cosine of the gradients of the first layer by equilibrium propagation and by recurrent
    backpropagation, over the angle between feedback and transposes: one dot a random network, and
    their mean. Crosses: values known of another network.
    """
    figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for angle, cosines in found.cosines.items():
        ax.plot([angle] * len(cosines), cosines, "o", color=EXCITATORY, alpha=0.4, markersize=4)
    ax.plot(
        list(found.cosines), [np.mean(values) for values in found.cosines.values()],
        color=EXCITATORY,
    )  # fmt: skip
    ax.plot(*zip(*KNOWN_COSINES.items(), strict=True), "x", color=REFERENCE, markersize=8)
    ax.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    ax.set(
        xlabel="angle of the feedback (°)", ylabel="cosine of gradients", xticks=range(0, 91, 15)
    )
    return figure


def draw_training(found: Found) -> Figure:
    """A classifier over training, one line a seed: right answers in the test, cosine of its
    gradients with the exact ones, and asymmetry of its Jacobian.
    """
    figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    for name, outcomes in found.trained.items():
        for k, outcome in enumerate(outcomes):
            label = None if k else NAMES[name]
            shown = (100 * np.array(outcome.accuracy), outcome.cosine, outcome.asymmetry)
            for ax, values in zip(axes, shown, strict=True):
                ax.plot(values, ".-", color=COLORS[name], label=label, linewidth=1)
    for ax, what in zip(
        axes, ("right answers (%)", "cosine of gradients", "asymmetry of the Jacobian"), strict=True
    ):
        ax.set(xlabel="epoch", ylabel=what)
    axes[0].legend(fontsize=8, loc="lower right")
    return figure
