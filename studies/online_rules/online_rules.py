"""Online learning rules from any equations, held against what they leave out.

The rules carry the derivatives of a neuron's variables by its weights forward in time, so that a
gradient is known at every step and memory does not grow with the length of a trial. `mn.RTRL` does
so for any Brian2 network and for each unit of a readout or body; `mn.EProp` with one trace for all
units of a readout, and a signal that the readout sends back; `mn.OTTT` and `mn.DECOLLE` with one
trace for each cell that sends, where cells are linear filters of spikes that are all alike.

Four questions:

* Is the rule right? e-prop written by hand, autograd in which spikes count as constants where they
  reach other cells, and the rule made from the equations of a Brian2 network give one gradient.
* What is left out? The cosine with backpropagation through time as cells excite and inhibit each
  other more.
* Is memory flat? Peak memory of a training step from 1,000 to 64,000 steps.
* Does it learn? A network writes a sum of four sines over one second from one frozen pattern of
  spikes; the weights are written back, and Brian2 runs it.

Source: Bellec et al. 2020, doi:10.1038/s41467-020-17236-y (e-prop, pattern generation); the family:
Zenke & Neftci 2021, doi:10.1109/JPROC.2020.3045625; Williams & Zipser 1989,
doi:10.1162/neco.1989.1.2.270; Xiao et al. 2022, arXiv:2210.04195 (OTTT); Kaiser et al. 2020,
doi:10.3389/fnins.2020.00424 (DECOLLE). The paper of e-prop gives no number for pattern generation
with these settings; the targets are ours.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from mirrorneuron.analysis import Table

from .._contracts import Metric, Result, Study
from .._kit.figure import draw_all
from .._kit.file import cached, whole, working_folder
from .._kit.report import publish
from ._identity import Identity, identity
from ._pattern import Learnt, Pattern, rules
from ._recurrent import cosines, peaks

SETTINGS = {
    "LIF, reset detached": (False, False),
    "LIF": (False, True),
    "ALIF, reset detached": (True, False),
    "ALIF": (True, True),
}
LONG, SHORT = ("traces", "e-prop"), "BPTT"


@dataclass(frozen=True)
class Kept:
    """A result as JSON.

    Arguments:
        value: Lists, numbers, names.
    """

    value: Any

    def save(self, path: Path) -> None:
        """Write to a file."""
        with whole(path) as file:
            file.write(json.dumps(self.value) + "\n")

    @staticmethod
    def load(path: Path) -> "Kept":
        """Read what `save` wrote."""
        return Kept(json.loads(path.read_text()))


@dataclass(frozen=True)
class Found:
    """What was found.

    Arguments:
        identities: By the kind of cell.
        strengths, cosines: Strength of recurrence, and cosines of each network.
        lengths, peaks: Steps of a trial, and peak memory by rule [B].
        learnt: By rule.
        curve: To be written, " time".
    """

    identities: Mapping[str, Identity]
    strengths: Sequence[float]
    cosines: Sequence[Sequence[float]]
    lengths: Mapping[str, Sequence[int]]
    peaks: Mapping[str, Sequence[float]]
    learnt: Mapping[str, Learnt]
    curve: Sequence[float]

    def slope(self, rule: str) -> float:
        """Peak memory per step [B]."""
        return float(np.polyfit(self.lengths[rule], self.peaks[rule], 1)[0])


@dataclass(frozen=True)
class OnlineRules(Study):
    """See the module's docstring.

    Arguments:
        strengths: Of recurrence.
        networks: For each strength.
        cells: Of these networks.
        lengths: Of trials whose memory is measured [steps]; backpropagation up to the second.
        pattern: Cells of the network that writes a curve.
        steps, lr: Training steps, and steps of Adam as a fraction of each parameter's size.
        target: Squared error to reach, over that of a silent readout.
    """

    title = "online rules from any equations: right, flat in memory, and what they leave out"
    strengths: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4, 0.8)
    networks: int = 5
    cells: int = 40
    lengths: tuple[int, ...] = (1000, 4000, 16000, 64000)
    pattern: int = 100
    steps: int = 1000
    lr: float = 0.003
    target: float = 0.2

    def quick(self) -> "OnlineRules":
        """Small networks, short trials."""
        return replace(self, strengths=(0.0, 0.4), networks=1, cells=15, lengths=(500, 2000),
                       pattern=30, steps=25, lr=0.01, target=1.5)  # fmt: skip

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Answer the four questions."""
        folder = working_folder(out / "parts", resume)
        identities = {name: identity(self.seed, *kind) for name, kind in SETTINGS.items()}
        beside = cached(
            folder / "cosines.json",
            lambda: Kept(cosines(self.cells, self.strengths, self.networks, 200)), Kept.load,
        ).value  # fmt: skip
        lengths = dict.fromkeys(LONG, self.lengths) | {SHORT: self.lengths[:2]}
        memory = {
            name: cached(
                folder / f"memory-{name}.json",
                lambda n=name: Kept(peaks(self.cells, lengths[n], n)), Kept.load,
            ).value
            for name in lengths
        }  # fmt: skip
        task = Pattern(self.pattern, seed=self.seed)
        learnt: dict[str, Learnt] = {}
        for name, rule in rules(task).items():
            if progress:
                print(name, flush=True)
            made = cached(
                folder / f"pattern-{name.replace(', ', '-')}.json",
                lambda r=rule: Kept(asdict(task.learn(r, self.steps, self.lr, progress))),
                Kept.load,
            )  # fmt: skip
            kept: dict[str, Any] = made.value
            learnt[name] = Learnt(
                tuple(kept["losses"]), tuple(kept["curve"]), kept["rate"], kept["identical"]
            )
        peaks_ = {name: found for name, found in memory.items() if found}
        found = Found(identities, self.strengths, beside, lengths, peaks_, learnt,
                      task.curve.tolist())  # fmt: skip
        figures = draw_all(out, found, DRAWINGS, styled=True, dpi=None)
        tables = [identities_table(found), learnt_table(found)]
        return publish(out, "Online rules", metrics(found, self.target), tables, figures,
                       str(__doc__))  # fmt: skip


def metrics(found: Found, target: float) -> dict[str, Metric]:
    """Numbers by name."""
    made: dict[str, Metric] = {}
    for name, same in found.identities.items():
        short = name.replace(", ", "_").replace(" ", "_")
        made[f"identity_hand_{short}"] = Metric.below(same.hand, "1", 1e-10)
        made[f"identity_autograd_{short}"] = Metric.below(same.autograd, "1", 1e-10)
    for strength, each in zip(found.strengths, found.cosines, strict=True):
        made[f"cosine_{strength:g}"] = Metric(float(np.mean(each)), "1")
    for name in found.peaks:
        target_ = 0.1 if name in LONG else None
        made[f"memory_slope_{name.replace('-', '')}"] = Metric.below(
            found.slope(name) / 1e3, "kB/step", target_
        )
    for name, learnt in found.learnt.items():
        short = name.replace(", ", "_").replace("-", "")
        goal = target if name.startswith("e-prop") else None
        made[f"error_{short}"] = Metric.below(min(learnt.losses), "1", goal)
    made["spikes_identical"] = Metric.holds(all(x.identical for x in found.learnt.values()))
    return made


def identities_table(found: Found) -> Table:
    """Three gradients that are one."""
    rows = [
        (name, f"{x.hand:.1e}", f"{x.autograd:.1e}", str(x.spikes))
        for name, x in found.identities.items()
    ]
    columns = ("cells", "by hand", "stopped autograd", "spikes")
    return Table(
        "Largest relative difference from the rule made of equations", columns, tuple(rows)
    )


def learnt_table(found: Found) -> Table:
    """How well each rule writes the curve."""
    rows = [
        (name, f"{x.losses[0]:.2f}", f"{min(x.losses):.3f}", f"{x.rate:.0f}",
         "yes" if x.identical else "no")
        for name, x in found.learnt.items()
    ]  # fmt: skip
    columns = ("rule", "error, first", "error, least", "rate [Hz]", "Brian2's spikes the same")
    return Table("A curve over one second", columns, tuple(rows))


def draw_curves(found: Found) -> Figure:
    """The curve, and what networks write after training."""
    figure, ax = plt.subplots(figsize=(5.2, 3), layout="constrained")
    ax.plot(found.curve, color="black", linewidth=1.5, label="target")
    for name, learnt in found.learnt.items():
        ax.plot(learnt.curve, linewidth=0.8, label=name)
    ax.set(xlabel="time [ms]", ylabel="readout")
    ax.legend(frameon=False)
    return figure


def draw_learning(found: Found) -> Figure:
    """Squared error of the readout over that of a silent one, step by step."""
    figure, ax = plt.subplots(figsize=(5.2, 3), layout="constrained")
    for name, learnt in found.learnt.items():
        ax.plot(learnt.losses, linewidth=0.8, label=name)
    ax.set(xlabel="training step", ylabel="squared error", yscale="log")
    ax.legend(frameon=False)
    return figure


def draw_left_out(found: Found) -> Figure:
    """Cosine with backpropagation over the strength of recurrence; points are networks."""
    figure, ax = plt.subplots(figsize=(4.4, 3), layout="constrained")
    each = np.array(found.cosines)
    ax.plot(found.strengths, each, "o", color="0.6", markersize=3)
    ax.plot(found.strengths, each.mean(1), color="black")
    ax.set(xlabel="strength of recurrence", ylabel="cosine with BPTT", ylim=(-0.05, 1.05))
    return figure


def draw_memory(found: Found) -> Figure:
    """Peak memory of a training step over the length of a trial."""
    figure, ax = plt.subplots(figsize=(4.4, 3), layout="constrained")
    for name, seen in found.peaks.items():
        ax.plot(found.lengths[name], np.maximum(np.array(seen), 1e3) / 1e6, "o-", label=name)
    ax.set(xlabel="steps of a trial", ylabel="memory beyond the shortest [MB]", xscale="log",
           yscale="log")  # fmt: skip
    ax.legend(frameon=False)
    return figure


DRAWINGS = (draw_curves, draw_learning, draw_left_out, draw_memory)
