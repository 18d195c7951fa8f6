r"""E-GLIF cells of the cerebellum with a leak, refitted by the gradient of their mirror.

The published constants give the published rates with a leak of sign +1, which drives $v$ away from
$E_L$. Which constants give them with the sign of a membrane, -1? Constants that experiments
measured stay fixed: $C_m$, $\tau_m$, $E_L$, $V_{th}$, $V_r$, $t_{ref}$; so do $\lambda_0$ and
$\tau_V$. Fitted are $I_e$, $k_{adap}$, $k_1$, $k_2$, $A_1$ and $A_2$, each with its published sign
and a weak pull to its published value. The awake states differ from the cells in vitro only in
$I_e$, $\lambda_0$ and $\tau_V$, as in the source, and these three are fitted.

Targets are the rate at rest and, where the source claims one, the slope of the curve of frequency
over current. The docstring of `_fit` explains how the rate of a silent cell gets a gradient. The
fitted values are written back into Brian2, which alone judges them: by the whole published protocol
(`_kit/eglif`), Runge-Kutta at 0.1 ms, with seeds that no training used. A rate has to be within 3 %
(0.05 Hz of a silent cell), a slope within 15 % (nuclear cells 30 %).

The first interval depends on the phase of a cell at the onset of a step. The training averages over
phases; in the protocol, cells with little noise are in phase with each other. The slope of the
Golgi cell is 0.18 Hz/pA after a rest of 10 s, which is what the source claims, and 0.24 Hz/pA after
3 s. The basket cell fires at random: with 20 cells and 10 s its rate is uncertain by 2 %.

Stability is guaranteed: with the sign -1 the linear part is stable for all positive $k_{adap}$ and
$k_2$.

Source: Geminiani et al. 2018, doi:10.3389/fninf.2018.00088 (equations); Geminiani et al. 2019,
doi:10.3389/fncom.2019.00035 (constants); De Schepper et al. 2022, doi:10.1038/s42003-022-04213-y
(awake states, rates and slopes, tested in its published code).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from brian2 import Network, TimedArray, amp, ms, second
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from tqdm.auto import tqdm

from mirrorneuron import mirror, validate
from mirrorneuron.analysis import Table
from mirrorneuron.analysis.plot import BAD, EXCITATORY, REFERENCE
from mirrorneuron.analysis.validate import Validation
from mirrorneuron.bio import neurons
from mirrorneuron.bio._quantity import evaluate
from mirrorneuron.bio.cells import Cell, Claim, cells

from .._contracts import Metric, Result, Study
from .._kit import eglif
from .._kit.eglif import PER_PA, Measured, Protocol, values_of
from .._kit.figure import draw_all, spaced
from .._kit.file import cached, working_folder, write_csv
from .._kit.report import publish
from ._fit import OWN, STATE, Fitted, Objective, Settings, refit

PUBLISHED = cells["geminiani"].every()
KINDS = (
    "granule", "golgi", "purkinje", "purkinje awake", "basket", "nuclear", "nuclear awake",
    "nuclear_inhibitory", "olive", "unipolar_brush",
)  # fmt: skip
CLAIMS: Mapping[str, Claim] = {name: PUBLISHED[name].claims[""] for name in KINDS}
WITHIN, NEARLY_SILENT = 0.03, 0.05  # of a rate; of a silent cell [Hz]
UNSEEN = 1000  # seeds of the judgement start here
BEFORE, AFTER = "published", "refitted"


@dataclass(frozen=True)
class EglifRefit(Study):
    """See the module's docstring.

    Arguments:
        kinds: Which cells; a state comes after its cell. Basket and stellate cells are alike.
        fitted: Cells in each condition of the training.
        wide, narrow: Most training steps, first with large steps, then with small ones.
        rest, step: Of the judgement: time without current, and length of a step [s].
        copies: Cells of each kind in the judgement.
        many: The same for refitted ones with steps of current, of which one interval each counts.
        seeds: How often it is judged.
        compared: Time in which spikes of Brian2 and mirror are compared [s].
    """

    title = "E-GLIF cells refitted through the mirror to the physiological sign of the leak"
    kinds: tuple[str, ...] = KINDS
    fitted: int = 16
    wide: int = 80
    narrow: int = 30
    rest: float = 10.0
    step: float = 1.0
    copies: int = 20
    many: int = 60
    seeds: int = 3
    compared: float = 1.0

    def quick(self) -> "EglifRefit":
        """Three cells and few steps: shows that everything runs."""
        return replace(
            self, kinds=("purkinje", "purkinje awake", "olive"), fitted=8, wide=5, narrow=10,
            rest=2.0, step=0.25, copies=4, many=20, seeds=1, compared=0.2,
        )  # fmt: skip

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Fit each kind, write it back, judge all in Brian2, compare with the mirror.

        A resumed run keeps the cells that are done, and goes on with the one that is not.
        """
        folder = working_folder(out / "fit", resume)
        fits: dict[str, Fitted] = {}
        refitted: dict[str, Cell] = {}
        for name in tqdm(self.kinds, disable=not progress, desc="cells"):
            start = physiological(PUBLISHED[name], refitted.get(name.partition(" ")[0]))
            fits[name] = self.fit(name, start, folder, progress)
            refitted[name] = replace(start, values={**start.values, **fits[name].values})
        measured = self.judge(refitted, out, progress)
        verdict = compare(refitted, self.compared, self.seed + UNSEEN)
        return report_on(out, Found(fits, refitted, measured, verdict))

    def fit(self, name: str, start: Cell, folder: Path, progress: bool) -> Fitted:
        """The constants of a kind, by its gradient or from a file that is there already."""
        key = key_of(name)
        settings = Settings(self.fitted, self.wide, self.narrow, seed=self.seed)
        objective = Objective(key, start, CLAIMS[name], constants_of(name), settings)

        def refitted() -> Fitted:
            with torch.random.fork_rng():
                return refit(objective, folder / key, progress)

        return cached(folder / f"{key}.json", refitted, Fitted.load)

    def judge(
        self, refitted: Mapping[str, Cell], out: Path, progress: bool
    ) -> list[dict[str, Measured]]:
        """Both sets of every kind by the published protocol, once a seed."""
        kinds: dict[str, eglif.Kind] = {}
        for name, cell in refitted.items():
            claim, before = CLAIMS[name], physiological(PUBLISHED[name])
            many = self.many if claim.slope else self.copies
            kinds[f"{BEFORE} {name}"] = eglif.Kind(before, claim, self.copies)
            kinds[f"{AFTER} {name}"] = eglif.Kind(cell, claim, many)
        protocol = Protocol(kinds, self.rest, self.step)
        seeds = range(self.seed + UNSEEN, self.seed + UNSEEN + self.seeds)
        return [protocol.measure(seed, progress, out / "judgement") for seed in seeds]


def physiological(cell: Cell, base: Cell | None = None) -> Cell:
    """A cell with the sign of a membrane; of a state, what it does not share with its base."""
    values = {**cell.values, "leak_sign": "-1"}
    if base is not None:
        values |= {name: base.values[name] for name in OWN if name != "I_e"}
    return replace(cell, values=values, states={})


def key_of(name: str) -> str:
    """A kind as the name of a group, a file or a metric."""
    return name.replace(" ", "_")


def compare(refitted: Mapping[str, Cell], duration: float, seed: int) -> Validation:
    """Brian2 and the mirror with the same given numbers, at rest and under current."""
    table = [cell for cell in refitted.values() for _ in (False, True)]
    currents = [
        float(evaluate(CLAIMS[name].currents[0])) if on and CLAIMS[name].currents else 0.0
        for name in refitted
        for on in (False, True)
    ]
    model = neurons["eglif"].with_threshold("drawn")
    group = model.group(len(table), name="eglif", I=np.array(currents) * amp, **values_of(table))
    draws = np.random.default_rng(seed).random((round(duration / 0.1e-3), len(table)))
    group.namespace["uniform"] = TimedArray(draws, dt=0.1 * ms)
    network = Network(group)
    twin = mirror(network, dtype=torch.float64, namespace={})
    return validate(network, twin, duration * second, seed=seed, namespace={})


# ---- what was found


@dataclass(frozen=True)
class Found:
    """Fits and judgement.

    Arguments:
        fits: By kind.
        refitted: The cells.
        measured: What each kind did, "published ..." and "refitted ...", once a seed.
        verdict: Brian2 and mirror, side by side.
    """

    fits: Mapping[str, Fitted]
    refitted: Mapping[str, Cell]
    measured: list[dict[str, Measured]]
    verdict: Validation

    def rates(self, which: str, name: str) -> Float[np.ndarray, " seed"]:
        """Rate at rest with each seed [Hz]."""
        return np.array([seen[f"{which} {name}"].rate for seen in self.measured])

    def slopes(self, which: str, name: str) -> Float[np.ndarray, " seed"]:
        """Slope of the curve with each seed [Hz/pA]."""
        found = [seen[f"{which} {name}"].slope or 0.0 for seen in self.measured]
        return np.array(found) * PER_PA

    def curve(self, which: str, name: str) -> Float[np.ndarray, "seed step"]:
        """Rate in each step of current with each seed [Hz]."""
        return np.array([seen[f"{which} {name}"].curve for seen in self.measured])

    def metrics_of(self, which: str, name: str) -> dict[str, Metric]:
        """Rate and slope of a kind beside their targets, mean over seeds."""
        claim, found = CLAIMS[name], dict[str, Metric]()
        rate = float(self.rates(which, name).mean())
        if claim.rate is not None:
            allowed = max(WITHIN * claim.rate, NEARLY_SILENT)
            found["rate"] = Metric.near(rate, "Hz", claim.rate, allowed)
        if claim.slope is not None:
            target, value = claim.slope * PER_PA, float(self.slopes(which, name).mean())
            found["slope"] = Metric.near(value, "Hz/pA", target, claim.tolerance * target)
        return found

    def met(self, which: str, name: str) -> bool:
        """Whether a kind hits all that is claimed."""
        return all(metric.ok for metric in self.metrics_of(which, name).values())

    def metrics(self) -> dict[str, Metric]:
        """All of them; what the published constants do has no target here."""
        found: dict[str, Metric] = {}
        for name in self.refitted:
            key = key_of(name)
            for what, metric in self.metrics_of(AFTER, name).items():
                found[f"{what}_{key}"] = metric
            spread = np.ptp(self.rates(AFTER, name))
            found[f"rate_spread_{key}"] = Metric(float(spread), "Hz")
            for what, metric in self.metrics_of(BEFORE, name).items():
                found[f"{what}_{key}_{BEFORE}"] = replace(metric, target=None, ok=None)
        for which in (BEFORE, AFTER):
            count = sum(self.met(which, name) for name in self.refitted)
            found[f"kinds_met_{which}"] = Metric(float(count), "1")
        least, after = float(min(4, len(self.refitted))), found[f"kinds_met_{AFTER}"].value
        found[f"kinds_met_{AFTER}"] = Metric.at_least(after, "1", least)
        found["spikes_identical"] = Metric.holds(self.verdict.identical)
        return found


def report_on(out: Path, found: Found) -> Result:
    """Metrics, tables, constants as files, figures and page."""
    drawings = (draw_autorhythm, draw_curves, draw_targets, draw_convergence, draw_constants)
    figures = draw_all(out, found, drawings)
    write_constants(out, found)
    text = f"Brian2 and the mirror, the same drawn numbers: {found.verdict.verdict}"
    findings = (table_of_targets(found), table_of_constants(found), text)
    title = "E-GLIF cells with a leak"
    return publish(out, title, found.metrics(), findings, figures, str(__doc__))


def constants_of(name: str) -> tuple[str, ...]:
    """What is fitted of a kind."""
    return STATE if " " in name else OWN


def table_of_targets(found: Found) -> Table:
    """Every target, with the published constants and with the refitted ones."""
    rows: list[tuple[str, ...]] = []
    for name in found.refitted:
        before, after = (found.metrics_of(which, name) for which in (BEFORE, AFTER))
        for what, metric in after.items():
            rows.append((
                name, f"{what} [{metric.unit}]", f"{metric.target:.4g}",
                f"{before[what].value:.4g}", f"{metric.value:.4g}",
                "hit" if metric.ok else "missed",
            ))  # fmt: skip
    columns = ("cell", "", "target", BEFORE, AFTER, "")
    return Table("In Brian2, with the sign -1", columns, tuple(rows))


def table_of_constants(found: Found) -> Table:
    """Every constant that was fitted, beside the published one."""
    rows = [
        (name, constant, PUBLISHED[name].parameters[constant], cell.values[constant])
        for name, cell in found.refitted.items()
        for constant in constants_of(name)
    ]
    return Table("Constants", ("cell", "constant", BEFORE, AFTER), tuple(rows))


def write_constants(out: Path, found: Found) -> None:
    """`constants.csv` for people and `refitted.json` with all values of each cell as text."""
    table = table_of_constants(found)
    write_csv(out / "constants.csv", [table.columns, *table.rows])
    values = {name: dict(cell.values) for name, cell in found.refitted.items()}
    (out / "refitted.json").write_text(json.dumps(values, indent=2) + "\n")


# ---- figures


MARKS = {BEFORE: (f"{BAD} x", f"{BAD} x--"), AFTER: (f"{EXCITATORY} o", f"{EXCITATORY} o-")}


def draw_autorhythm(found: Found) -> Figure:
    """A second at rest of every kind, and its rates."""
    seen = {name: found.measured[0][f"{AFTER} {name}"].trains for name in found.refitted}
    dots = {
        f"{which}, sign −1": (mark, {name: found.rates(which, name) for name in found.refitted})
        for which, (mark, _) in MARKS.items()
    }
    claims = {name: CLAIMS[name] for name in found.refitted}
    figure, rate = eglif.draw_rests(seen, claims, dots, "target", 0.9 + 0.42 * len(seen))
    figure.axes[0].set_title("refitted, in Brian2", fontsize=9, loc="left")
    rate.legend(fontsize=8)
    return figure


def draw_curves(found: Found) -> Figure:
    """Rate of the first interval over current, with the slope that is claimed."""
    names = [name for name in found.refitted if CLAIMS[name].slope is not None]
    columns = min(4, len(names) + 1)
    rows = -(-(len(names) + 1) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.5 * columns, 2.4 * rows), layout="constrained", squeeze=False
    )
    flat = list(axes.ravel())
    for ax, name in zip(flat, names, strict=False):
        rates = {
            f"{which}, sign −1": (mark, found.curve(which, name).mean(axis=0))
            for which, (_, mark) in MARKS.items()
        }
        currents = found.measured[0][f"{AFTER} {name}"].currents
        eglif.draw_curve(ax, name, CLAIMS[name], currents, rates, "slope claimed", 4.0)
    eglif.label_curves(figure, axes, flat[len(names) :], "first interval (Hz)")
    flat[len(names)].legend(*flat[0].get_legend_handles_labels(), loc="center", fontsize=8)
    return figure


def draw_targets(found: Found) -> Figure:
    """By how much every target is missed, and by how much it may be."""
    rows = [
        (f"{spaced(name)}, {what}", name, what)
        for name in found.refitted
        for what, metric in found.metrics_of(AFTER, name).items()
        if metric.target
    ]
    figure, ax = plt.subplots(figsize=(7.2, 0.9 + 0.36 * len(rows)), layout="constrained")
    for row, (_, name, what) in enumerate(rows):
        allowed = 100 * (WITHIN if what == "rate" else CLAIMS[name].tolerance)
        ax.barh(row, 2 * allowed, left=-allowed, height=0.8, color="#E4F2EC")
        for which, color, shift in ((BEFORE, "0.6", -0.18), (AFTER, EXCITATORY, 0.18)):
            metric = found.metrics_of(which, name)[what]
            error = 100 * (metric.value / (metric.target or 1.0) - 1)
            ax.barh(row + shift, error, height=0.32, color=color if metric.ok is not False
                    or which == BEFORE else BAD,
                    label=f"{which}, sign −1" if row == 0 else None)  # fmt: skip
    ax.axvline(0, color=REFERENCE, linewidth=0.8)
    ax.set_yticks(range(len(rows)), [text for text, *_ in rows])
    ax.set(xlabel="error (%), shaded: allowed", ylim=(len(rows) - 0.4, -0.6), xlim=(-105, 105))
    ax.legend(fontsize=8, loc="upper right")
    return figure


def draw_convergence(found: Found) -> Figure:
    """Loss over the training steps of each kind."""
    shown = {name: fit.losses for name, fit in found.fits.items() if fit.losses}
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for k, (name, losses) in enumerate(shown.items()):
        color = plt.get_cmap("tab10")(k)
        ax.plot(np.arange(len(losses)), losses, color=color, linewidth=1.2,
                label=spaced(name))  # fmt: skip
        ax.plot(len(losses) - 1, losses[-1], "o", color=color, markersize=4)
    ax.set(xlabel="training step", ylabel="loss", yscale="symlog", ylim=(0, None))
    ax.set_yticks([0, 1, 3, 10, 30], ["0", "1", "3", "10", "30"])
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_constants(found: Found) -> Figure:
    """Every fitted constant over the published one."""
    names = list(found.refitted)
    constants = (*OWN, *(c for c in STATE if c not in OWN))
    figure, ax = plt.subplots(figsize=(7.6, 0.9 + 0.36 * len(names)), layout="constrained")
    for row, name in enumerate(names):
        for column, constant in enumerate(constants):
            if constant not in constants_of(name):
                continue
            new, old = (
                float(evaluate(cell.parameters[constant]))
                for cell in (found.refitted[name], PUBLISHED[name])
            )
            ratio = new / old
            shade = np.clip(np.log2(ratio) / 2, -1, 1)
            color = EXCITATORY if shade > 0 else BAD
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=color,
                                       alpha=0.6 * abs(shade), linewidth=0))  # fmt: skip
            ax.text(column, row, f"×{ratio:.2f}", ha="center", va="center", fontsize=8)
    marks = {"I_e": "$I_e$", "k_adap": "$k_{adap}$", "k_1": "$k_1$", "k_2": "$k_2$", "A_1": "$A_1$",
             "A_2": "$A_2$", "lambda_0": r"$\lambda_0$", "tau_V": r"$\tau_V$"}  # fmt: skip
    ax.set_xticks(range(len(constants)), [marks[c] for c in constants])
    ax.set_yticks(range(len(names)), [spaced(n) for n in names])
    ax.set(xlim=(-0.5, len(constants) - 0.5), ylim=(len(names) - 0.5, -0.5))
    ax.set_title("refitted over published", fontsize=9, loc="left")
    return figure
