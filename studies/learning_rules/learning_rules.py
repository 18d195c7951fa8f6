"""One comparison: every learning rule on every kind of neuron, on one task.

Cells that Poisson spikes drive excite and inhibit each other and two readouts, which are to follow
two waves. Eight kinds of cells (leaky, the same with a reset that subtracts, adaptive, with
conductances, theta, Izhikevich, adaptive exponential, and excitatory with inhibitory ones) learn it
by each rule of `mirrorneuron`:

* BPTT, through the whole trial and through windows of 20 ms;
* FPTT in the same windows, with an update in each;
* traces carried forward (`RTRL`), and e-prop with symmetric and with random feedback;
* one trace for each cell that sends (`OTTT`), and the same with a random readout of the layer's own
  spikes (`DECOLLE`). They need cells that are linear filters of spikes with a reset that subtracts,
  and refuse all others by name.

For each: cosine of its gradient with that of BPTT at the start, peak memory beyond that of a trial
a tenth as long, time for a step of the simulation with a gradient, and the loss reached after the
same number of updates. After training, the weights are written back, and Brian2 has the spikes of
the mirror.

What "best gradient" means: BPTT with the surrogate that follows from each neuron's own threshold
and reset, whose direction and size were compared with central differences elsewhere
(docs/decisions/0012).

Source: Werbos 1990, doi:10.1109/5.58337; Williams & Peng 1990, doi:10.1162/neco.1990.2.4.490; Kag &
Saligrama 2021, PMLR 139:5189-5200; Bellec et al. 2020, doi:10.1038/s41467-020-17236-y; Xiao et al.
2022, arXiv:2210.04195; Kaiser et al. 2020, doi:10.3389/fnins.2020.00424; the family: Zenke & Neftci
2021, doi:10.1109/JPROC.2020.3045625. All numbers are ours.
"""

import multiprocessing
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import ms
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

import mirrorneuron as mn
from mirrorneuron.analysis import Table
from mirrorneuron.errors import GradientError

from .._contracts import Metric, Result, Study
from .._kit.figure import draw_all
from .._kit.file import cached, working_folder
from .._kit.memory import can_be_measured, forget_peak, resident_peak
from .._kit.record import Record
from .._kit.report import publish
from ._networks import KINDS, TRAINED, network

WAVES = (5.0, 8.0)  # [Hz]
WINDOW = 20.0  # [ms]


def rules() -> dict[str, mn.Rule[Any]]:
    """The rules by name."""
    window: Any = WINDOW * ms
    return {
        "BPTT": mn.BPTT(),
        "BPTT, windows": mn.BPTT(window=window),
        "FPTT": mn.FPTT(window),
        "traces": mn.RTRL(),
        "traces, online": mn.RTRL(window),
        "e-prop, symmetric": mn.EProp(),
        "e-prop, random": mn.EProp(feedback="random"),
        "OTTT": mn.OTTT(),
        "DECOLLE": mn.DECOLLE(local_loss=_local),
    }


def _local(y: Tensor, recording: mn.Recording, trial: mn.Trial) -> Tensor:
    """What a readout of a layer's own spikes is to give: the waves, as small as it is."""
    return (y - 0.1 * _waves(recording, y)).square().mean((1, 2)).sum() / len(y)


def _waves(recording: mn.Recording, like: Tensor) -> Tensor:
    """The waves, "time 1 readout"."""
    t = torch.from_numpy(recording.t).to(like)[:, None, None]
    return torch.sin(2 * torch.pi * t * torch.tensor(WAVES).to(t))


@dataclass(frozen=True)
class Cell(Record):
    """One rule on one kind of neuron.

    Arguments:
        cosine: With BPTT, at the start.
        memory: Peak, beyond that of a trial a tenth as long [B]; NaN where it cannot be measured.
        seconds: For a step of the simulation with a gradient [s].
        first, last: Loss at the start, and the mean of the last tenth.
        identical: Whether Brian2 has the mirror's spikes after training.
        refused: Why the rule does not take these neurons; empty where it does.
    """

    cosine: float
    memory: float
    seconds: float
    first: float
    last: float
    identical: bool
    refused: str = ""

    @staticmethod
    def absent(why: str) -> "Cell":
        """Of a rule that does not take these neurons."""
        return Cell(*[float("nan")] * 5, identical=True, refused=why)


@dataclass(frozen=True)
class LearningRules(Study):
    """See the module's docstring.

    Arguments:
        kinds: Of cells.
        cells: Number of cells.
        recurrence: Strength of the synapses among them, in that of the inputs.
        dt: Time step [ms].
        duration: Of a trial [ms].
        batch: Trials in a step.
        updates: Of the parameters, the same for all rules.
        lr: Steps of Adam, as a fraction of each parameter's size.
        weighed: Whether memory is measured, which takes a process each.
    """

    title = "every learning rule on every kind of neuron: direction, memory, time and loss"
    kinds: tuple[str, ...] = tuple(KINDS)
    cells: int = 40
    recurrence: float = 0.3
    dt: float = 0.5
    duration: float = 400.0
    batch: int = 8
    updates: int = 300
    lr: float = 0.01
    weighed: bool = True

    def quick(self) -> "LearningRules":
        """Two kinds of cells, short trials, few updates."""
        return replace(
            self,
            kinds=("subtractive LIF", "AdEx"),
            cells=10,
            duration=60.0,
            batch=2,
            updates=4,
            weighed=False,
        )

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Fill the table."""
        folder = working_folder(out / "cells", resume)
        table: dict[str, dict[str, Cell]] = {}
        for k, kind in enumerate(self.kinds):
            for r, name in enumerate(rules()):
                if progress:
                    print(f"{kind}, {name}", flush=True)
                made = cached(
                    folder / f"{k}-{r}.json", lambda k=kind, n=name: self.cell(k, n), Cell.load
                )
                table.setdefault(kind, {})[name] = made
        figures = draw_all(out, table, [draw_cosine, draw_loss, draw_time], styled=True, dpi=None)
        return publish(
            out, "All learning rules", metrics(table), tables(table), figures, str(__doc__)
        )

    def model(self, kind: str, dtype: torch.dtype, rule: mn.Rule[Any]) -> mn.Mirror:
        """The mirror of a network; OTTT and DECOLLE detach the reset."""
        made = network(KINDS[kind], self.cells, self.recurrence, self.seed, self.dt)
        reset = "detach" if isinstance(rule, mn.OTTT | mn.DECOLLE) else "auto"
        return mn.mirror(made, train=TRAINED, dtype=dtype, namespace={}, reset_gradient=reset)

    def task(self, duration: float) -> mn.Task:
        """Readouts that follow two waves."""
        steps = round(duration / self.dt)

        def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
            y = recording["readout.y"]
            return (y - _waves(recording, y)).square().mean((1, 2)).sum() / steps

        time_: Any = duration * ms
        return mn.Task(time_, loss, lambda _: mn.Trial(batch_size=self.batch), ["readout.y"],
                       additive=True)  # fmt: skip

    def cell(self, kind: str, name: str) -> Cell:
        """One rule on one kind of neuron."""
        rule, task = rules()[name], self.task(self.duration)
        try:
            a, b = (self.gradient(kind, each, task) for each in (mn.BPTT(), rule))
        except GradientError as error:
            return Cell.absent(str(error))
        per_trial = round(self.duration / WINDOW) if rule.online else 1
        model = self.model(kind, torch.float32, rule)
        _step(model, rule, task, self.seed)  # compiles
        start = time.perf_counter()
        _step(model, rule, task, self.seed)
        seconds = (time.perf_counter() - start) / round(self.duration / self.dt)
        model = self.model(kind, torch.float32, rule)
        steps = max(2, self.updates // per_trial)
        done = mn.fit(
            model, task, rule, lambda p: torch.optim.Adam(p, lr=self.lr), steps=steps,
            seed=self.seed, clip=1.0, report=None,
        )  # fmt: skip
        last = done.losses[-max(1, len(done.losses) // 10) :]
        return Cell(
            cosine=float(a @ b / (a.norm() * b.norm())), memory=self.memory(kind, name),
            seconds=seconds, first=done.losses[0], last=float(np.mean(last)),
            identical=self.identical(kind, model),
        )  # fmt: skip

    def gradient(self, kind: str, rule: mn.Rule[Any], task: mn.Task) -> Tensor:
        """Gradient at the start by a rule, without updates, each parameter in units of its size."""
        model = self.model(kind, torch.float64, rule)
        _step(model, rule, task, self.seed)
        return torch.cat([p.grad.ravel() for p in model.parameters() if p.grad is not None])

    def identical(self, kind: str, model: mn.Mirror) -> bool:
        """Whether Brian2 has the spikes of the mirror with the trained weights."""
        made = network(KINDS[kind], self.cells, self.recurrence, self.seed, self.dt)
        model.write_back(made)
        twin = mn.mirror(made, dtype=torch.float64, namespace={})
        duration: Any = min(self.duration, 200.0) * ms
        return mn.validate(made, twin, duration, namespace={}).ok

    def memory(self, kind: str, name: str) -> float:
        """Peak memory of a step of training, measured in a process of its own [B]."""
        if not (self.weighed and can_be_measured()):
            return float("nan")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_peak, (self, kind, name))


def _peak(study: LearningRules, kind: str, name: str) -> float:
    torch.set_num_threads(1)
    rule, model = rules()[name], study.model(kind, torch.float32, rules()[name])
    seen: list[float] = []
    for duration in (study.duration / 10, study.duration):
        duration = max(duration, 2 * WINDOW)
        _step(model, rule, study.task(duration), study.seed)
        seen.append(resident_peak())
        forget_peak()
    return seen[1] - seen[0]


def _step(model: mn.Mirror, rule: mn.Rule[Any], task: mn.Task, seed: int) -> None:
    model.zero_grad()
    rule.step(rule.init(model), model, task, task.trial_at(0), seed, lambda: False)


Found = Mapping[str, Mapping[str, Cell]]


def metrics(found: Found) -> dict[str, Metric]:
    """Numbers by name: the mean over kinds of neurons of each rule."""
    made: dict[str, Metric] = {}
    for name in rules():
        each = [row[name] for row in found.values() if not row[name].refused]
        made[f"kinds_{_short(name)}"] = Metric(float(len(each)), "1")
        if not each:
            continue
        short = _short(name)
        made[f"cosine_{short}"] = Metric(float(np.mean([c.cosine for c in each])), "1")
        made[f"time_{short}"] = Metric(float(np.median([c.seconds for c in each])) * 1e6, "us")
        made[f"memory_{short}"] = Metric(float(np.median([c.memory for c in each])) / 1e6, "MB")
        made[f"loss_{short}"] = Metric(float(np.mean([c.last / c.first for c in each])), "1")
    all_ = [cell for row in found.values() for cell in row.values()]
    made["spikes_identical"] = Metric.holds(all(cell.identical for cell in all_))
    return made


def _short(name: str) -> str:
    return name.replace(", ", "_").replace("-", "")


def tables(found: Found) -> list[Table]:
    """A table for each question."""
    questions = {
        "Cosine with BPTT": lambda c: f"{c.cosine:.3f}",
        "Peak memory [MB]": lambda c: f"{c.memory / 1e6:.2f}",
        "Time for a step [us]": lambda c: f"{c.seconds * 1e6:.0f}",
        "Loss reached, in that at the start": lambda c: f"{c.last / c.first:.3f}",
    }
    columns = ("rule", *found)
    return [
        Table(title, columns, tuple(
            (name, *("-" if found[kind][name].refused else shown(found[kind][name])
                     for kind in found))
            for name in rules()
        ))
        for title, shown in questions.items()
    ]  # fmt: skip


def draw_cosine(found: Found) -> Figure:
    """Cosine with backpropagation through the whole trial, by rule and kind of neuron; a dash where
    a rule refuses these neurons."""
    return _grid(found, lambda cell: cell.cosine, "cosine with BPTT")


def draw_loss(found: Found) -> Figure:
    """Loss reached over that at the start, by rule and kind of neuron."""
    return _grid(found, lambda cell: cell.last / cell.first, "loss reached / loss at the start")


def draw_time(found: Found) -> Figure:
    """Time for a step of the simulation with a gradient; points are kinds of neurons."""
    figure, ax = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
    for place, name in enumerate(rules()):
        times = [row[name].seconds * 1e6 for row in found.values() if not row[name].refused]
        ax.plot([place] * len(times), times, "o", color="0.6", markersize=3)
        if times:
            ax.plot(place, np.median(times), "_", color="black", markersize=14)
    ax.set_xticks(range(len(rules())), list(rules()), rotation=30, ha="right")
    ax.set(ylabel="time for a step [us]", yscale="log")
    return figure


def _grid(found: Found, value: Callable[[Cell], float], title: str) -> Figure:
    """Numbers by rule and kind of neuron, as shades."""
    kinds, names = list(found), list(rules())
    grid = np.array([[value(found[kind][name]) for kind in kinds] for name in names])
    figure, ax = plt.subplots(figsize=(1.6 + 0.8 * len(kinds), 3.4), layout="constrained")
    ax.imshow(grid, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for (row, column), x in np.ndenumerate(grid):
        color = "white" if x < 0.6 else "black"
        if np.isnan(x):  # the rule refuses these neurons
            ax.text(column, row, "-", ha="center", va="center", color="0.5", fontsize=7)
            continue
        ax.text(column, row, f"{x:.2f}", ha="center", va="center", color=color, fontsize=7)
    ax.set_xticks(range(len(kinds)), kinds, rotation=30, ha="right")
    ax.set_yticks(range(len(names)), names)
    ax.set_title(title, fontsize=9)
    return figure
