r"""Finger velocity from cortical spikes: recurrent spiking decoders that fit into 21 kB.

Six sessions of 96 or 192 channels, in bins of 4 ms. Decoders: a Wiener filter over 196 ms, the
feed-forward baseline SNN2 of NeuroBench, a *tiny* recurrent network of 64 neurons that is pruned
and stored in half precision, and a *big* one with five readouts. Networks are Brian2 equations,
trained through their mirror, time constants included; the pruned network in half precision then
runs in Brian2, where its spikes have to be the same.

The recordings are in no package: `--data FOLDER` reads them. Without, sessions are *generated* with
the published channels and rates, and a depth of tuning for which the Wiener filter is as good as
the published baselines: what is compared is the order of decoders, not the value of $R^2$.

Differs from the source: Adam instead of SMORMS3, no dropout, fewer updates; the big network has 256
neurons instead of 1,024 unless `big` says otherwise.

Sources: Liu, Gygax, Rossbroich et al. 2024, arXiv:2409.01762; recordings: O'Doherty et al. 2017,
doi:10.5281/zenodo.583331; baseline and costs: Yik et al. 2025, doi:10.1038/s41467-025-56739-4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from mirrorneuron.analysis import Table, complexity
from mirrorneuron.analysis.plot import BAD, EXCITATORY, GOOD, REFERENCE
from mirrorneuron.bio.simulation._scope import preferring
from mirrorneuron.errors import DataError

from .._contracts import Metric, Result, Study
from .._kit.figure import draw_all
from .._kit.file import cached, working_folder
from .._kit.report import publish, verdicts
from .._kit.seeds import OverSeeds
from ._decoder import (
    SHARES,
    Setting,
    Trained,
    fitted,
    pruned,
    same_in_brian2,
    tested,
    wiener,
)
from ._generator import LAYOUT, SESSIONS, Session, generate
from ._network import DT, mirrored, start

FOOTPRINTS = {96: 21_000, 192: 33_288}  # of the tiny network in half precision [B]
PUBLISHED = {"tiny": 0.660, "big": 0.698, "SNN2": 0.581}  # mean over the six recordings
LOSS = 0.02
MOST_ACS = 1000.0
COLORS = {"Wiener": "0.6", "SNN2": BAD, "tiny": EXCITATORY, "big": GOOD}


@dataclass(frozen=True)
class FingerVelocity(Study):
    """See the module's docstring.

    Arguments:
        path: Folder of recordings, SESSION.npz with `spikes` (bool, bin x channel) and `position`
            (bin x 2 [mm]) in bins of 4 ms; None generates sessions.
        sessions: Which of them.
        seconds: Length of a generated session [s].
        seeds: Trainings of each network.
        updates, batch: Of the tiny network and the baseline.
        big, big_updates: Neurons of the big network, and updates.
        shares: Of weights that are pruned, one after another.
        again: Share of the updates with which a pruned network is trained again.
        compared: Seconds of the test that Brian2 runs [s].
        judged: Whether trainings are long enough for the targets.
    """

    title = "Finger velocity from cortical spikes: tiny and big recurrent decoders"
    path: str | None = None
    sessions: tuple[str, ...] = tuple(SESSIONS)
    seconds: float = 300.0
    seeds: int = 3
    updates: int = 200
    batch: int = 32
    big: int = 256
    big_updates: int = 150
    shares: tuple[float, ...] = SHARES
    again: float = 0.4
    compared: float = 20.0
    judged: bool = True

    def quick(self) -> "FingerVelocity":
        """One short session and few updates: shows that everything runs."""
        return replace(
            self, sessions=self.sessions[:1], seconds=40.0, seeds=1, updates=12, batch=8, big=32,
            big_updates=6, shares=(0.4,), again=0.5, compared=2.0, judged=False,
        )  # fmt: skip

    def with_data(self, path: Path) -> "FingerVelocity":
        """The same study with all recordings of a folder; `quick` takes the first.

        Raises:
            DataError: The folder holds none, or some of another layout.
        """
        names = tuple(sorted(file.stem for file in path.glob("*.npz")))
        if not names:
            raise DataError(f"--data {path}: no recordings are there. It reads {LAYOUT}.")
        for name in names:
            Session.load(path, name)
        return replace(self, path=str(path), sessions=names)

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Train and test all decoders; a resumed run keeps what is done."""
        folder, threads = working_folder(out / "trainings", resume), torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with preferring(codegen__target="numpy"):
                found = self.decode(folder, progress)
        finally:
            torch.set_num_threads(threads)
        figures = draw_all(out, found, (draw_scores, draw_velocity, draw_costs, draw_times))
        metrics = found.metrics()
        findings = (verdicts(metrics), found.table())
        return publish(out, self.title, metrics, findings, figures, str(__doc__))

    def decode(self, folder: Path, progress: bool) -> "Found":
        """Everything that is found."""
        runs: dict[str, dict[str, list[Trained]]] = {}
        linear: dict[str, float] = {}
        cases = [(name, kind, seed) for name in self.sessions for kind in ("SNN2", "tiny", "big")
                 for seed in range(self.seeds)]  # fmt: skip
        data = {name: self.session(name) for name in self.sessions}
        for name, kind, seed in tqdm(cases, "trainings", disable=not progress):
            linear.setdefault(name, wiener(data[name]))
            of = runs.setdefault(name, {}).setdefault(kind, [])
            of.append(self.train(data[name], kind, seed, folder))
        first = self.sessions[0]
        small = runs[first]["tiny"][0].pruned
        assert small is not None  # the tiny network always has one
        same, apart, spikes = same_in_brian2(small, data[first].test, self.compared)
        return Found(self, linear, runs, same, apart, spikes)

    def session(self, name: str) -> Session:
        """A recording, or a generated session."""
        if self.path is None:
            return generate(name, self.seconds, self.seed)
        return Session.load(Path(self.path), name)

    def setting(self, kind: str, seed: int) -> Setting:
        """Of one training."""
        seed = self.seed + seed
        if kind == "SNN2":
            return Setting(50, 0, seed, self.updates, self.batch)
        if kind == "tiny":
            return Setting(64, 1, seed, self.updates, self.batch, upper=0.01)
        return Setting(self.big, 5, seed, self.big_updates, self.batch)

    def train(self, session: Session, kind: str, seed: int, folder: Path) -> Trained:
        """A training, or what it left."""
        setting = self.setting(kind, seed)
        name = f"{session.name}_{kind}_{seed}"
        told = repr((setting, self.path, self.seconds, self.shares, self.again, self.seed))
        return cached(
            folder / f"{name}.json", lambda: self._trained(session, setting, folder / name),
            Trained.load, told,
        )  # fmt: skip

    def _trained(self, session: Session, setting: Setting, folder: Path) -> Trained:
        size = float(session.training.velocity.std())
        values = fitted(setting, session, setting.begin(session), folder)
        test = tested(values, setting.plain, session.test, size)
        if setting.heads != 1:
            return Trained(values, test)
        share, sparse = pruned(setting, session, values, size, self.shares, self.again)
        half, whole = sparse.half(), sparse.whole_numbers().half()
        small = [tested(v, False, session.test, size) for v in (half, whole)]
        return Trained(values, test, share, (small[0], small[1]), half)


@dataclass(frozen=True)
class Found:
    """All results.

    Arguments:
        study: Its settings.
        linear: $R^2$ of the Wiener filter, by session.
        runs: Trainings, by session and decoder, one a seed.
        same: Whether Brian2 spikes as the mirror of the pruned network in half precision.
        apart: Largest distance of their readouts.
        spikes: How many spikes were compared.
    """

    study: FingerVelocity
    linear: Mapping[str, float]
    runs: Mapping[str, Mapping[str, Sequence[Trained]]]
    same: bool
    apart: float
    spikes: int

    def scores(self, session: str, kind: str) -> list[float]:
        """$R^2$ of each seed."""
        return [run.test.r2 for run in self.runs[session][kind]]

    def mean(self, kind: str) -> float:
        """Over sessions and seeds."""
        return float(np.mean([self.scores(name, kind) for name in self.runs]))

    def lost(self, which: int) -> float:
        """Mean $R^2$ that pruning with half precision (0), or with 8 bit weights (1), costs."""
        costs = [
            run.test.r2 - run.small[which].r2
            for kinds in self.runs.values()
            for run in kinds["tiny"]
            if run.small
        ]
        return float(np.mean(costs))

    def margin(self, better: str, worse: str) -> float:
        """Least difference of the means over seeds, over all sessions."""
        return min(
            float(np.mean(self.scores(name, better)) - np.mean(self.scores(name, worse)))
            for name in self.runs
        )

    def metrics(self) -> dict[str, Metric]:
        """Every number beside its target."""
        judged, found = self.study.judged, dict[str, Metric]()
        for channels, size in FOOTPRINTS.items():
            bytes_ = complexity(mirrored(start(channels, 64, 1, 0)), value_bytes=2).footprint
            found[f"footprint_tiny_{channels}"] = Metric.near(bytes_, "B", float(size), 0.0)
        found["r2_wiener"] = Metric(float(np.mean(list(self.linear.values()))), "1")
        for kind in ("SNN2", "tiny", "big"):
            found[f"r2_{kind.lower()}"] = Metric(self.mean(kind), "1")
        targets = {
            "tiny_above_snn2": Metric.at_least(self.margin("tiny", "SNN2"), "1", 0.0),
            "big_above_tiny": Metric.at_least(self.mean("big") - self.mean("tiny"), "1", 0.0),
            "lost_pruned_fp16": Metric.below(self.lost(0), "1", LOSS),
        }
        found |= {
            key: m if judged else replace(m, target=None, ok=None) for key, m in targets.items()
        }
        found["lost_pruned_int8"] = Metric(self.lost(1), "1")
        tiny = [run for kinds in self.runs.values() for run in kinds["tiny"]]
        costs = [run.small[0].accumulates for run in tiny if run.small]
        found["accumulates_tiny"] = Metric.below(np.mean(costs), "1", MOST_ACS)
        found["pruned_share"] = Metric(float(np.mean([run.sparse for run in tiny])), "1")
        for kind in ("SNN2", "big"):
            of = [run.test.accumulates for kinds in self.runs.values() for run in kinds[kind]]
            found[f"accumulates_{kind.lower()}"] = Metric(float(np.mean(of)), "1")
        found["spikes_identical"] = Metric.holds(self.same and self.spikes > 0)
        found["readout_apart"] = Metric.below(self.apart, "1", 1e-9)
        return found

    def table(self) -> Table:
        """$R^2$ by session, mean over seeds with the half-width of the 95 % confidence interval."""
        rows = [
            (name, f"{self.linear[name]:.3f}",
             *(OverSeeds(self.scores(name, kind)).text(1.0, 3) for kind in ("SNN2", "tiny", "big")),
             f"{SESSIONS[name][2]:.3f}" if name in SESSIONS else "-")
            for name in self.runs
        ]  # fmt: skip
        kind = "recorded" if self.study.path else "generated"
        columns = ("session", "Wiener", "SNN2", "tiny", "big", "published tiny, recorded")
        return Table(f"R2 on test data, {kind} sessions", columns, tuple(rows))


# ---- figures


def draw_scores(found: Found) -> Figure:
    """Explained share of the variance on test data by session; dots are seeds, bars their mean."""
    figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
    kinds = ("Wiener", "SNN2", "tiny", "big")
    for k, kind in enumerate(kinds):
        for row, name in enumerate(found.runs):
            scores = [found.linear[name]] if kind == "Wiener" else found.scores(name, kind)
            x = row + 0.2 * (k - 1.5)
            ax.bar(x, np.mean(scores), 0.18, color=COLORS[kind], alpha=0.6,
                   label=kind if row == 0 else None)  # fmt: skip
            ax.plot([x] * len(scores), scores, "o", color=COLORS[kind], markersize=3)
    ax.set_xticks(range(len(found.runs)), list(found.runs))
    ax.set(ylabel="$R^2$", ylim=(min(0, ax.get_ylim()[0]), 1))
    ax.legend(fontsize=8, ncols=4)
    return figure


def draw_velocity(found: Found) -> Figure:
    """Velocity of the finger in the first seconds of the test, and what the tiny network says."""
    figure, axes = plt.subplots(2, 1, figsize=(8, 4), sharex=True, layout="constrained")
    name = next(iter(found.runs))
    true, said = found.runs[name]["tiny"][0].test.shown
    for ax, a, b, label in zip(axes, true, said, ("x", "y"), strict=True):
        time = np.arange(len(a)) * DT
        ax.plot(time, a, color=REFERENCE, label="finger")
        ax.plot(time, b, color=EXCITATORY, label="tiny network")
        ax.set_ylabel(f"velocity {label} (mm/s)")
    axes[0].legend(fontsize=8, loc="upper right")
    axes[0].set_title(name, fontsize=9)
    axes[1].set_xlabel("time (s)")
    return figure


def draw_costs(found: Found) -> Figure:
    """What a decoder explains over what it costs: effective accumulates in a step of 4 ms. Rings
    are the tiny networks, pruned and in half precision; crosses with weights of 8 bit."""
    figure, ax = plt.subplots(figsize=(5.4, 3.6), layout="constrained")
    for kinds in found.runs.values():
        for kind, runs in kinds.items():
            for run in runs:
                ax.plot(run.test.accumulates, run.test.r2, "o", color=COLORS[kind], markersize=4)
                for small, mark in zip(run.small or (), ("o", "x"), strict=False):
                    ax.plot(small.accumulates, small.r2, mark, color=COLORS[kind], fillstyle="none")
    for kind in ("SNN2", "tiny", "big"):
        ax.plot([], [], "o", color=COLORS[kind], label=kind)
    ax.set(xscale="log", xlabel="effective accumulates in a step", ylabel="$R^2$")
    ax.legend(fontsize=8)
    return figure


def draw_times(found: Found) -> Figure:
    """Time constants of the tiny network before training (grey) and after it."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
    name = next(iter(found.runs))
    runs = found.runs[name]["tiny"]
    for ax, key, label in zip(
        axes, ("hidden.tau_m", "hidden.tau_s"), ("membrane", "synapse"), strict=True
    ):
        before = start(1, found.study.setting("tiny", 0).hidden, 1, found.study.seed).times[key]
        after = np.concatenate([run.values.times[key] for run in runs])
        edges = np.linspace(0, 1.05 * max(before.max(), after.max()), 30) * 1e3
        ax.hist(before * 1e3, edges, density=True, color="0.8", label="before")
        ax.hist(after * 1e3, edges, density=True, histtype="step", color=EXCITATORY, label="after")
        ax.set(xlabel=f"time constant of the {label} (ms)")
    axes[0].set_ylabel("density")
    axes[0].legend(fontsize=8)
    return figure
