r"""Surrogate gradients in theory: of what they are the gradient, where they mislead, and that they
teach.

* A stochastic neuron and the surrogate that matches its escape function: the exact gradient of its
  expected output. The mirror derives it from the text of the threshold; a Monte-Carlo finite
  difference agrees.
* Stochastic automatic differentiation: its mix of smoothed derivatives is the surrogate gradient,
  whatever the neuron did.
* Two stochastic layers, all patterns enumerated: the last layer has no bias, the one before has.
* Five weights: the integral of a surrogate gradient around a circle is not zero, so that it is the
  gradient of no function; descent comes to rest beside the minimum, and has a direction where the
  gradient vanishes.
* Spike-train matching: two layers learn to draw an image, stochastic or deterministic.

The published integral is found with the published constants: -0.0425 for a surrogate of steepness 1
and 0.369 for 5. In the source, spike-train matching ends at about two thirds to three quarters of
the distance at which it starts.

Source: Gygax & Zenke 2025, doi:10.1162/neco_a_01752, and its published code; Arya et al. 2022,
arXiv:2210.08572.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from mirrorneuron.analysis.plot import BAD, EXCITATORY, GOOD, REFERENCE
from mirrorneuron.errors import CheckpointError

from .._contracts import Metric, Result, Study
from .._kit.figure import draw_all, spaced
from .._kit.file import cached, working_folder
from .._kit.report import publish, verdicts
from ._escape import ESCAPES, Values, mirrored, mixed, monte_carlo
from ._five_weights import STEEP, TURNED, Bias, Loop, around, bias, field
from ._spike_trains import Matched, Matching
from ._two_layers import Gradients, enumerate_layers

COLORS = (EXCITATORY, "#D55E00", GOOD, "#CC79A7", "#E69F00")
LOOPS = {1.0: -0.0425, 5.0: 0.369}
SURROGATES, TURNS = (15.0, 30.0, 100.0), (2.0, 4.0, 20.0)
MINIMUM = -0.0131


@dataclass(frozen=True)
class SurrogateTheory(Study):
    """See the module's docstring.

    Arguments:
        samples: Of each Monte-Carlo finite difference.
        points: Of the circle.
        hidden: Neurons whose patterns are enumerated.
        betas: Steepnesses of the two layers.
        networks: Random ones of each steepness.
        size, steps, epochs, trials: Of spike-train matching.
    """

    title = "Surrogate gradients in theory: escape noise, bias, curl, spike-train matching"
    samples: int = 1_000_000
    points: int = 6000
    hidden: int = 12
    betas: tuple[float, ...] = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
    networks: int = 10
    size: int = 200
    steps: int = 189
    epochs: int = 1500
    trials: int = 10

    def quick(self) -> "SurrogateTheory":
        """Smaller layers and a short matching; the theory as in full."""
        return replace(self, hidden=8, networks=4, size=100, steps=100, epochs=100, trials=5)

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Compute everything; a resumed run keeps the matchings that are done."""
        folder = working_folder(out / "matching", resume)
        matched: dict[bool, Matched] = {}
        for kind in tqdm((False, True), disable=not progress, desc="matching"):
            wanted = Matching(self.size, self.steps, self.epochs, self.trials, kind, self.seed)
            matched[kind] = cached(
                folder / f"{'stochastic' if kind else 'deterministic'}.npz",
                lambda wanted=wanted: _Saved(wanted.run()), _Saved.load, str(asdict(wanted)),
            ).found  # fmt: skip
        found = Found(
            {e.name: mirrored(e, np.array(e.points)) for e in ESCAPES},
            {e.name: monte_carlo(e, self.samples, self.seed) for e in ESCAPES},
            identity(self.seed),
            {beta: around(STEEP, beta, self.points) for beta in LOOPS},
            [around(beta, beta, self.points) for beta in (*LOOPS, 25.0)],
            {beta: bias(beta) for beta in SURROGATES},
            {
                beta: [
                    enumerate_layers(beta, self.hidden, 10, self.seed + k)
                    for k in range(self.networks)
                ]
                for beta in self.betas
            },
            matched,
        )
        drawings = (draw_escapes, draw_layers, draw_loop, draw_bias, draw_field, draw_matching)
        figures = draw_all(out, found, drawings)
        findings = (verdicts(found.metrics(), 4),)
        return publish(out, self.title, found.metrics(), findings, figures, str(__doc__))


class _Saved:
    """A matching as a file."""

    def __init__(self, found: Matched) -> None:
        self.found = found

    def save(self, path: Path) -> None:
        """Write it."""
        np.savez_compressed(path, **self.found._asdict())

    @staticmethod
    def load(path: Path) -> "_Saved":
        """Read it.

        Raises:
            CheckpointError: The file is damaged.
        """
        try:
            with np.load(path) as held:
                made: dict[str, Any] = {name: held[name] for name in Matched._fields}
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise CheckpointError(
                f"{path} holds no finished matching ({error}). Remove it, and it is computed again."
            ) from error
        made["error"] = float(made["error"])
        return _Saved(Matched(**made))


def identity(seed: int) -> float:
    """Largest distance between the mix of stochastic derivatives and p', for either outcome."""
    rng = np.random.default_rng(seed)
    p, slope = rng.uniform(0.001, 0.999, 10_000), rng.uniform(0, 5, 10_000)
    apart = [np.abs(mixed(p, slope, np.full_like(p, spike)) - slope).max() for spike in (0.0, 1.0)]
    return float(max(apart))


# ---- what was found


@dataclass(frozen=True)
class Found:
    """All results.

    Arguments:
        mirrored, sampled: Derivatives by escape function, as the mirror derives them and as
            Monte-Carlo finite differences.
        identity: By how much the mix of stochastic derivatives misses p'.
        loops: By steepness of the surrogate.
        conservative: Loops of gradients.
        biases: By steepness of the surrogate.
        layers: By steepness, several networks each.
        matched: Whether neurons are stochastic, to the matching.
    """

    mirrored: Mapping[str, Values]
    sampled: Mapping[str, Values]
    identity: float
    loops: Mapping[float, Loop]
    conservative: list[Loop]
    biases: Mapping[float, Bias]
    layers: Mapping[float, list[Gradients]]
    matched: Mapping[bool, Matched]

    def metrics(self) -> dict[str, Metric]:
        """Every number beside its target."""
        found: dict[str, Metric] = {}
        for escape in ESCAPES:
            exact = escape.surrogate(np.array(escape.points))
            for which, values, most in (
                ("mirror", self.mirrored, 1e-9), ("monte_carlo", self.sampled, 0.01),
            ):  # fmt: skip
                missed = _relative(values[escape.name], exact)
                found[f"{which}_{escape.name}_missed"] = Metric.below(missed, "1", most)
        found["stochad_identity_missed"] = Metric.below(self.identity, "1", 1e-12)
        for beta, target in LOOPS.items():
            integral = self.loops[beta].integral
            found[f"loop_{beta:g}"] = Metric.near(integral, "1", target, 5e-4)
            found[f"loop_{beta:g}_relative"] = Metric(self.loops[beta].relative, "1")
        most = max(abs(loop.integral) for loop in self.conservative)
        found["loop_gradient"] = Metric.below(most, "1", 1e-4)
        return found | self._of_bias() | self._of_layers() | self._of_matching()

    def _of_bias(self) -> dict[str, Metric]:
        one = self.biases[SURROGATES[0]]
        least = float(one.w[one.output.argmin()])
        found = {"minimum": Metric.near(least, "1", MINIMUM, 5e-5)}
        for beta, seen in self.biases.items():
            found[f"rest_surrogate_{beta:g}"] = Metric(seen.rest, "1")
            found[f"wrong_sign_surrogate_{beta:g}"] = Metric(seen.wrong, "1")
        arrows = {
            beta: np.array(field(np.array(TURNED[0]), np.array(TURNED[1]), beta)) for beta in TURNS
        }
        for beta, arrow in arrows.items():
            found[f"arrow_length_surrogate_{beta:g}"] = Metric(float(np.linalg.norm(arrow)), "1")
            angle = float(np.degrees(np.arctan2(arrow[1], arrow[0])))
            found[f"arrow_angle_surrogate_{beta:g}"] = Metric(angle, "deg")
        return found

    def _of_layers(self) -> dict[str, Metric]:
        every = [g for some in self.layers.values() for g in some]
        found = {
            "stochad_bias": Metric.below(max(g.stochastic_bias for g in every), "1", 1e-10),
            "last_layer_bias": Metric.below(max(g.readout_bias for g in every), "1", 1e-10),
        }
        for beta, some in self.layers.items():
            found[f"surrogate_bias_beta_{beta:g}"] = Metric(
                float(np.mean([g.bias for g in some])), "1"
            )
            found[f"surrogate_cosine_beta_{beta:g}"] = Metric(
                float(np.mean([g.cosine for g in some])), "1"
            )
        return found

    def _of_matching(self) -> dict[str, Metric]:
        found: dict[str, Metric] = {}
        for kind, seen in self.matched.items():
            name = "stochastic" if kind else "deterministic"
            ratio = seen.error / seen.errors[0]
            found[f"distance_start_{name}"] = Metric(float(seen.errors[0]), "1")
            found[f"distance_{name}"] = Metric(seen.error, "1")
            found[f"distance_ratio_{name}"] = Metric.below(ratio, "1", 0.75)
            found[f"rate_hidden_{name}"] = Metric(seen.rate(seen.hidden), "Hz")
            found[f"rate_output_{name}"] = Metric(seen.rate(seen.out), "Hz")
            found[f"cv_output_{name}"] = Metric(seen.cv(seen.out), "1")
        noisy = self.matched[True]
        found["fano_hidden"] = Metric(noisy.fano(noisy.hidden), "1", 0.59)
        found["fano_output"] = Metric(noisy.fano(noisy.out), "1", 0.55)
        return found


def _relative(values: Values, exact: Values) -> float:
    """Largest distance, as a share of the value; of the largest one where that is zero."""
    size = np.where(exact == 0, np.abs(exact).max(), np.abs(exact))
    return float((np.abs(values - exact) / size).max())


# ---- figures


def draw_escapes(found: Found) -> Figure:
    """Escape functions (gray) and their surrogates (line), what the mirror derives from the text of
    the threshold (dots), and Monte-Carlo finite differences (crosses)."""
    figure, axes = plt.subplots(1, len(ESCAPES), figsize=(13, 3.3), layout="constrained")
    x = np.linspace(-0.35, 0.35, 701)
    for ax, escape in zip(axes, ESCAPES, strict=True):
        points = np.array(escape.points)
        slope = escape.surrogate(x)
        ax.plot(x, escape.probability(x) * slope.max(), color="0.75", linewidth=3,
                label="p, scaled")  # fmt: skip
        ax.plot(x, slope, color=REFERENCE, linewidth=1, label="p'")
        ax.plot(points, found.mirrored[escape.name], "o", color=EXCITATORY, label="mirror")
        ax.plot(points, found.sampled[escape.name], "x", color=BAD, label="differences")
        ax.set_title(spaced(escape.name), fontsize=9)
        ax.set_xlabel(r"$v - \theta$")
    axes[0].set_ylabel("derivative")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4,
                  fontsize=8)  # fmt: skip
    return figure


def draw_layers(found: Found) -> Figure:
    """Two stochastic layers, each network a dot: bias of the surrogate gradient of the hidden layer
    over steepness, and its cosine to the gradient. Stochastic automatic differentiation has no
    bias."""
    figure, (size, angle) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    betas = np.array(list(found.layers))
    for ax, name, label in ((size, "bias", "relative bias"), (angle, "cosine", "cosine")):
        values = [[getattr(g, name) for g in some] for some in found.layers.values()]
        ax.plot(betas, np.mean(values, axis=1), color=EXCITATORY, label="surrogate")
        ax.plot(np.repeat(betas, len(values[0])), np.ravel(values), ".", color=EXCITATORY)
        ax.set(xscale="log", xlabel=r"$\beta$", ylabel=label)
    zero = [np.mean([g.stochastic_bias for g in some]) for some in found.layers.values()]
    size.plot(betas, zero, color=GOOD, label="stochastic autodiff")
    size.set_yscale("log")
    size.legend(fontsize=8)
    return figure


def draw_loop(found: Found) -> Figure:
    """Integral of the gradient along a circle of five weights: that of a surrogate does not return
    to zero."""
    figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
    lines = {f"surrogate {beta:g}": loop for beta, loop in found.loops.items()}
    for color, (name, loop) in zip(COLORS, lines.items(), strict=False):
        total = np.cumsum(loop.pace) * (2 * np.pi / len(loop.pace))
        ax.plot(np.degrees(loop.angles), total, color=color, label=name)
        ax.plot(360, loop.integral, "o", color=color)
        ax.annotate(f"{loop.integral:.4f}", (360, loop.integral),
                    (-8, 6 if loop.integral > 0 else -14),
                    textcoords="offset points", ha="right", fontsize=8, color=color)  # fmt: skip
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set(xlabel="angle (deg)", ylabel="integral so far", xlim=(0, 366))
    ax.legend(fontsize=8)
    return figure


def draw_bias(found: Found) -> Figure:
    """Output over one weight with its minimum (line), and surrogate derivatives; where they pass
    zero upwards, descent comes to rest."""
    figure, (value, slope) = plt.subplots(2, 1, figsize=(6, 4.6), sharex=True, layout="constrained")
    for color, (beta, seen) in zip(COLORS, found.biases.items(), strict=False):
        slope.plot(seen.w, seen.slope / np.abs(seen.slope).max(), color=color,
                   label=f"surrogate {beta:g}")  # fmt: skip
        slope.plot(seen.rest, 0, "o", color=color)
    one = found.biases[SURROGATES[0]]
    value.plot(one.w, one.output, color=REFERENCE)
    for ax in (value, slope):
        ax.axvline(one.w[one.output.argmin()], color="0.7", linewidth=1)
    slope.axhline(0, color="0.6", linewidth=0.8)
    slope.legend(fontsize=8)
    value.set_ylabel("output")
    slope.set(xlabel="w", ylabel="derivative, scaled")
    return figure


def draw_field(found: Found) -> Figure:
    """Direction of the surrogate gradient by two weights; the true gradient (right) vanishes at the
    marked point, where surrogates still point somewhere. Shades: the logarithm of the length."""
    figure, axes = plt.subplots(1, len(TURNS), figsize=(10, 3.4), sharey=True,
                                layout="constrained")  # fmt: skip
    line = np.linspace(-2, 2, 17)
    v1, v2 = np.meshgrid(line, line)
    for ax, beta in zip(axes, TURNS, strict=True):
        along, across = field(v1, v2, beta)
        length = np.maximum(np.hypot(along, across), 1e-300)
        shade = ax.pcolormesh(v1, v2, np.log10(length), cmap="Greys", vmin=-12, vmax=1)
        ax.quiver(v1, v2, along / length, across / length, color=EXCITATORY, scale=30)
        ax.plot(*TURNED, "o", color=BAD, markersize=5, markerfacecolor="none")
        name = "gradient" if beta == TURNS[-1] else f"surrogate {beta:g}"
        ax.set(title=name, xlabel="$v_1$")
        if beta == TURNS[-1]:
            figure.colorbar(shade, ax=ax, label="log10 of the length")
    axes[0].set_ylabel("$v_2$")
    return figure


def draw_matching(found: Found) -> Figure:
    """Spike-train matching: the image, output spikes at the start and after training, of
    deterministic (top) and stochastic neurons (bottom), and the distance over the training."""
    figure, axes = plt.subplots(2, 4, figsize=(12, 5.6), layout="constrained")
    for row, (kind, seen) in zip(axes, found.matched.items(), strict=True):
        shown = (("image", seen.target), ("start", seen.start[0]), ("trained", seen.out[0]))
        for ax, (title, picture) in zip(row, shown, strict=False):
            ax.imshow(1 - picture, cmap="gray", origin="lower", aspect="auto", vmin=0, vmax=1)
            ax.set_title(title, fontsize=9)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel("stochastic" if kind else "deterministic")
        row[3].plot(seen.errors, color=EXCITATORY, linewidth=1)
        row[3].set(xlabel="step", ylabel="distance", ylim=(0, None))
    return figure
