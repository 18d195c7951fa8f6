r"""Consolidation: how long synapses remember, and what is left of a task after nine others.

**In Brian2**, populations of synapses are told one random pattern after another, and the overlap
with an old pattern is followed over its age:

* a chain of variables (`bio/plasticity/benna_fusi.py`): $t^{-1/2}$, and a lifetime that grows as
  the number of synapses; a single variable forgets exponentially;
* a cascade of binary states (`bio/plasticity/cascade.py`), each contact with its random jumps: a
  power law, whose exponent comes from its matrix; two states forget exponentially;
* metaplastic weights (`bio/plasticity/metaplastic.py`): the larger, the harder to lower.

**In a network** of two hidden layers that learns pictures whose pixels are permuted, ten tasks in a
row: `mn.SynapticIntelligence`, `mn.ElasticWeights`, the chain under each weight, metaplastic binary
weights, and the cascade as binary weights whose candidates are gradients; beside them plain
training with real and with binary weights.

Differs from the sources: 512 hidden neurons and 3 epochs a task, where synaptic intelligence had
2,000 and 20, for which $c$ has to be larger. Networks of binary weights are normalised without
parameters. The chain and the cascade were not published as rules for such networks.

Sources: Zenke, Poole & Ganguli 2017, arXiv:1703.04200; Kirkpatrick et al. 2017,
doi:10.1073/pnas.1611835114; Laborieux et al. 2021, doi:10.1038/s41467-021-22768-y; Benna & Fusi
2016, doi:10.1038/nn.4401; Fusi, Drew & Abbott 2005, doi:10.1016/j.neuron.2005.02.001; survey:
Zenke & Laborieux 2024, arXiv:2405.16922.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from tqdm.auto import tqdm

from mirrorneuron.analysis import Table
from mirrorneuron.analysis.plot import BAD, EXCITATORY, GOOD, INHIBITORY, REFERENCE
from mirrorneuron.bio.simulation._scope import preferring

from .._contracts import Metric, Result, Study
from .._kit.figure import draw_all
from .._kit.file import cached, working_folder
from .._kit.images import Images, images
from .._kit.report import publish, verdicts
from .._kit.seeds import OverSeeds, seeds_table
from ._synapses import (
    Lowered,
    Retention,
    run_cascade,
    run_chain,
    run_metaplastic,
    run_two_states,
)
from ._tasks import BINARY, RULES, Run, Setting, trained

PROTECTED = ("synaptic intelligence", "elastic weights", "metaplastic")
PUBLISHED = {
    "fine-tuning": "57.4, first 16.4",
    "synaptic intelligence": "96.9, first 96.4",
}  # of 2,000 hidden neurons and 20 epochs, mean over ten tasks and first task
BETTER, KEPT = 0.15, 0.9
WITHIN = 0.1
POPULATIONS = np.geomspace(20, 3000, 24)


@dataclass(frozen=True)
class Consolidation(Study):
    """See the module's docstring.

    Arguments:
        data: Pictures: "mnist", "fashion_mnist" or "digits".
        training, tested: How many of them; None is all.
        hidden, tasks, epochs, batch: Of the networks.
        c, stiffness: Strengths of synaptic intelligence and of elastic weights.
        tau, m, rate: Of the chain, of metaplastic weights, and of candidates of the cascade.
        seeds: Trainings of each rule.
        levels, deep: Variables of the chain, and levels of the cascade, in Brian2.
        memories, synapses: Of the chain in Brian2.
        candidates, contacts: Of the cascade in Brian2.
        judged: Whether trainings are long enough for the targets.
    """

    title = "Consolidation: memories of complex synapses, and networks that learn task after task"
    data: str = "mnist"
    training: int | None = None
    tested: int | None = None
    hidden: int = 512
    tasks: int = 10
    epochs: int = 3
    batch: int = 256
    c: float = 3.0
    stiffness: float = 300.0
    tau: float = 10.0
    m: float = 3.0
    rate: float = 0.01
    seeds: int = 5
    levels: int = 6
    deep: int = 10
    memories: int = 1500
    synapses: int = 600
    candidates: int = 6000
    contacts: int = 2000
    judged: bool = True

    def quick(self) -> "Consolidation":
        """Small digits, few tasks and short populations: shows that everything runs."""
        return replace(
            self, data="digits", hidden=48, tasks=3, epochs=4, batch=64, seeds=1, levels=4,
            deep=6, memories=160, synapses=150, candidates=800, contacts=500, judged=False,
        )  # fmt: skip

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Let synapses forget, train networks, report; a resumed run keeps what is done."""
        folder = working_folder(out / "runs", resume)
        with preferring(codegen__target="numpy"):
            kinds = self.retentions(folder)
            lowered = run_metaplastic(18)
        pictures = images(self.data).first(self.training, self.tested)
        cases = [(rule, seed) for seed in range(self.seeds) for rule in RULES]
        runs: dict[str, list[Run]] = {rule: [] for rule in RULES}
        for rule, seed in tqdm(cases, "trainings", disable=not progress):
            runs[rule].append(self.train(self.setting(rule, seed), pictures, folder))
        found = Found(self, kinds, lowered, runs)
        figures = draw_all(out, found, (draw_forgetting, draw_lifetimes, draw_lowered, draw_tasks))
        findings = (verdicts(found.metrics()), found.table(), found.matrix())
        return publish(out, self.title, found.metrics(), findings, figures, str(__doc__))

    def retentions(self, folder: Path) -> dict[str, Retention]:
        """How each kind of synapse forgets in Brian2, or what an earlier run found."""
        oldest = self.memories // 3
        sizes = self.candidates, self.contacts, self.candidates // 10, self.seed
        makes = {
            "chain": lambda: run_chain(
                self.levels, self.memories, self.synapses, oldest, self.seed
            ),
            "single": lambda: run_chain(
                1, self.memories, self.synapses, min(oldest, 60), self.seed
            ),
            "cascade": lambda: run_cascade(self.deep, *sizes),
            "two_states": lambda: run_two_states(0.1, *sizes),
        }
        return {
            name: cached(folder / f"{name}.json", make, Retention.load, repr((name, *sizes, self)))
            for name, make in makes.items()
        }

    def setting(self, rule: str, seed: int) -> Setting:
        """A training."""
        return Setting(
            rule, self.seed + seed, self.hidden, self.tasks, self.epochs, self.batch, c=self.c,
            stiffness=self.stiffness, tau=self.tau, m=self.m, rate=self.rate,
        )  # fmt: skip

    def train(self, setting: Setting, pictures: Images, folder: Path) -> Run:
        """A training, or what it left."""
        name = setting.rule.replace(",", "").replace(" ", "_")
        path = folder / f"{name}_{setting.seed}.json"
        told = repr((setting, self.data, self.training, self.tested))
        return cached(path, lambda: trained(setting, pictures), Run.load, told)

    @property
    def power_law(self) -> dict[str, tuple[float, float]]:
        """Ages between which exponents are fitted."""
        return {"chain": (8.0, self.memories / 5), "cascade": (3.0, self.candidates / 60)}


@dataclass(frozen=True)
class Found:
    """All results.

    Arguments:
        study: Its settings.
        kinds: How synapses forget, by name.
        lowered: Metaplastic weights.
        runs: Trainings of each rule, one a seed.
    """

    study: Consolidation
    kinds: Mapping[str, Retention]
    lowered: Lowered
    runs: Mapping[str, Sequence[Run]]

    def mean(self, rule: str) -> float:
        """Share of right answers over tasks and seeds, at the end."""
        return float(np.mean([run.mean for run in self.runs[rule]]))

    def gain(self, rule: str) -> float:
        """By how much a rule is better than training without one, with weights of its kind."""
        return self.mean(rule) - self.mean(baseline(rule))

    def lifetimes(self, name: str) -> list[float]:
        """Of populations of growing size."""
        return [self.kinds[name].lifetime(float(n)) for n in POPULATIONS]

    def growth(self, name: str) -> float:
        """Exponent with which lifetimes grow, of those between 4 and a third of the oldest age."""
        lives, last = np.array(self.lifetimes(name)), self.kinds[name].ages[-1]
        some = (lives > 4) & (lives < last / 1.5)
        if some.sum() < 3:
            return float("nan")
        return float(np.polyfit(np.log(POPULATIONS[some]), np.log(lives[some]), 1)[0])

    def metrics(self) -> dict[str, Metric]:
        """Every number beside its target."""
        found: dict[str, Metric] = {}
        judged = self.study.judged
        for name, (first, last) in self.study.power_law.items():
            slope, theory = self.kinds[name].slopes(first, last)
            found[f"slope_{name}"] = _judged(
                Metric.near(slope, "1", theory, WITHIN * abs(theory)), judged
            )
        slope, _ = self.kinds["chain"].slopes(*self.study.power_law["chain"])
        found["slope_chain_from_half"] = _judged(Metric.near(slope, "1", -0.5, 0.05), judged)
        growth = self.growth("chain")
        found["lifetime_growth_chain"] = _judged(Metric.near(growth, "1", 1.0, WITHIN), judged)
        error = np.abs(self.lowered.weights - self.lowered.expected).max()
        found["metaplastic_missed"] = Metric.below(error, "1", 1e-9)
        for rule in RULES:
            found[f"accuracy_{_key(rule)}"] = Metric(self.mean(rule), "1")
        for rule in PROTECTED:
            gain = Metric.at_least(self.gain(rule), "1", BETTER)
            found[f"gain_{_key(rule)}"] = _judged(gain, judged)
        for rule in ("Benna-Fusi", "cascade"):
            found[f"gain_{_key(rule)}"] = Metric(self.gain(rule), "1")
        kept = Metric.at_least(self.mean("synaptic intelligence"), "1", KEPT)
        found["kept_synaptic_intelligence"] = _judged(kept, judged)
        return found

    def table(self) -> Table:
        """Right answers of each rule."""
        rows = {
            f"{rule} ({memory(rule, self.study)})": [
                [run.mean for run in runs], [run.first for run in runs],
                [run.accuracy[-1][-1] for run in runs],
            ]
            for rule, runs in self.runs.items()
        }  # fmt: skip
        published = {
            f"{rule} ({memory(rule, self.study)})": text for rule, text in PUBLISHED.items()
        }
        columns = ("rule (numbers a synapse)", "all tasks", "first task", "last task")
        title = f"Right answers after {self.study.tasks} tasks (%)"
        return seeds_table(title, columns, rows, published, 100.0, 1)

    def matrix(self) -> Table:
        """Mean over the tasks seen so far, after each task."""
        rows = tuple(
            (rule, *(OverSeeds([float(np.mean(run.accuracy[k])) for run in runs]).text(100.0, 1)
                     for k in range(self.study.tasks)))
            for rule, runs in self.runs.items()
        )  # fmt: skip
        columns = ("rule", *(f"{k + 1}" for k in range(self.study.tasks)))
        return Table("Right answers in the tasks so far, after each (%)", columns, rows)


def memory(rule: str, study: Consolidation) -> str:
    """Numbers that a synapse holds, the weight included and those of Adam left out."""
    setting = study.setting(rule, 0)
    return {
        "synaptic intelligence": "4", "elastic weights": "3", "Benna-Fusi": f"{setting.levels}",
        "cascade": f"1 bit, {setting.cascade} levels",
    }.get(rule, "1")  # fmt: skip


def baseline(rule: str) -> str:
    """Training without a rule, with weights of the same kind."""
    return "fine-tuning, binary" if rule in BINARY else "fine-tuning"


def _key(rule: str) -> str:
    return rule.lower().replace(",", "").replace("-", "_").replace(" ", "_")


def _judged(metric: Metric, judged: bool) -> Metric:
    return metric if judged else replace(metric, target=None, ok=None)


# ---- figures

COLORS = {
    "fine-tuning": "0.5",
    "synaptic intelligence": EXCITATORY,
    "elastic weights": GOOD,
    "Benna-Fusi": REFERENCE,
    "fine-tuning, binary": "0.7",
    "metaplastic": INHIBITORY,
    "cascade": "#E69F00",
}
SHOWN = {
    "chain": ("a chain of variables", "a single variable", "single"),
    "cascade": ("a cascade of states", "two states", "two_states"),
}


def draw_forgetting(found: Found) -> Figure:
    """Overlap with a pattern over its age in Brian2 (dots) and in closed form (lines): power laws
    of complex synapses, and the exponential of simple ones."""
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained")
    for ax, (name, (label, plain, other)) in zip(axes, SHOWN.items(), strict=True):
        for kind, text, color in ((name, label, EXCITATORY), (other, plain, BAD)):
            kept = found.kinds[kind]
            ax.plot(kept.ages, np.maximum(kept.theory, 1e-9), color=color, linewidth=1)
            ax.plot(kept.ages, np.maximum(kept.signal, 1e-9), "o", color=color, markersize=4,
                    label=text)  # fmt: skip
        slope, theory = found.kinds[name].slopes(*found.study.power_law[name])
        top = max(max(found.kinds[kind].signal) for kind in (name, other))
        ax.set(xscale="log", yscale="log", xlabel="age (memories)", ylim=(top / 2000, 2 * top),
               title=f"exponent {slope:.3f}, theory {theory:.3f}")  # fmt: skip
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.legend(fontsize=8, loc="lower left")
    axes[0].set_ylabel("signal")
    return figure


def draw_lifetimes(found: Found) -> Figure:
    """Age at which the signal falls to the noise, over the number of synapses: in proportion for a
    chain, as the logarithm for a single variable."""
    figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for name, label, color in (
        ("chain", "a chain of variables", EXCITATORY),
        ("single", "a single variable", BAD),
        ("cascade", "a cascade of states", GOOD),
        ("two_states", "two states", REFERENCE),
    ):
        ax.plot(POPULATIONS, found.lifetimes(name), "o-", color=color, markersize=3, label=label)
    ax.plot(POPULATIONS, POPULATIONS / 6, "--", color="0.6", linewidth=1, label="in proportion")
    ax.set(xscale="log", yscale="log", xlabel="synapses", ylabel="lifetime (memories)")
    ax.legend(fontsize=8)
    return figure


def draw_lowered(found: Found) -> Figure:
    """Metaplastic weights that pairs of spikes lower, in Brian2 (dots) and by the closed form
    (lines): beyond the weight at which consolidation begins, nearly nothing happens."""
    figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
    some = slice(1, None, 3)
    ax.plot(found.lowered.expected[:, some], color="0.6", linewidth=1)
    ax.plot(found.lowered.weights[:, some], ".", color=INHIBITORY, markersize=4)
    ax.axhline(0.5, color=BAD, linestyle="--", linewidth=1)
    ax.text(0, 0.515, "$w_m$", fontsize=8, color=BAD)
    ax.set(xlabel="depressing pair", ylabel="weight (nS)")
    return figure


def draw_tasks(found: Found) -> Figure:
    """Left: right answers in the tasks learnt so far. Right: those in the first task, while others
    are learnt. Bands are the range over seeds."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.6), sharey=True, layout="constrained")
    count = np.arange(1, found.study.tasks + 1)
    for rule, runs in found.runs.items():
        curves = (
            [[np.mean(row) for row in run.accuracy] for run in runs],
            [[row[0] for row in run.accuracy] for run in runs],
        )
        for ax, curve in zip(axes, curves, strict=True):
            values, dash = 100 * np.array(curve), "--" if rule in BINARY else "-"
            ax.plot(count, values.mean(0), dash, color=COLORS[rule], label=rule)
            ax.fill_between(count, values.min(0), values.max(0), color=COLORS[rule], alpha=0.2)
    for ax, title in zip(axes, ("all tasks so far", "first task"), strict=True):
        ax.set(xlabel="tasks learnt", title=title)
    axes[0].set_ylabel("right answers (%)")
    axes[1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
