r"""A spiking network learns to hold an arm while it holds it: one episode, no resets, no repeats.

The arm is `elbow_pair`, upright, where it falls by itself; the network that of `arm_stabilisation`:
input neurons that sense angle and velocity, recurrent hidden neurons, motor neurons, all in one
Brian2 Network. It starts untrained and runs on without an end of a trial. Every 50 ms the weights
from hidden to motor neurons and the drive of motor neurons change by what the last 50 ms showed.
An external torque, drawn anew every second between -0.5 and 0.5 N m, never lets it rest.

Three rules get the same loss, the same windows, the same optimiser and the same torques:

* traces carried forward (`mn.RTRL`): each synapse has the derivatives of its motor neuron, of both
  muscles and of the joint by its weight, so that a spike is judged by what the arm does long after
  it. What the senses of the moved arm do to neurons is left out; the traces of muscles and joint,
  which would grow as the arm falls, are forgotten with 100 ms.
* FPTT (Kag & Saligrama 2021, PMLR 139:5189-5200) and backpropagation through the window alone
  (Williams & Peng 1990, doi:10.1162/neco.1990.2.4.490), which see no further back than the window.

The loss of a window is the mean of `(angle + look*velocity)^2 + effort*activation^2 +
rate*(spikes/100 Hz)^2`; the surrogate that of `arm_stabilisation`. Judged is the RMS angle over the
last quarter of the episode, and whether Brian2, after the weights are written back, has the spikes
of the mirror.

Source: after J. Brand, *Gradient descent optimization of embodied SNNs*, MSc thesis, TU Delft 2024,
of which only the abstract is public; the traces: Williams & Zipser 1989,
doi:10.1162/neco.1989.1.2.270, within neurons and through the body. All numbers are ours.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import second
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

import mirrorneuron as mn
from mirrorneuron.analysis import Table

from .._contracts import Metric, Result, Study
from .._kit.figure import draw_all
from .._kit.file import cached, whole, working_folder
from .._kit.report import publish
from ._loop import LAYERS, Loop, World
from ._study import RECORDED, SURROGATE, same_spikes

TRAINED = ("efferent.w", "motor.bias")
TICKS = (1, 3, 10, 30)  # of the angle, on a logarithmic axis [deg]
NONE, TRACES, FPTT, WINDOW = "no learning", "traces", "FPTT", "window alone"


@dataclass(frozen=True)
class Episode:
    """One episode.

    Arguments:
        angle: RMS angle in each part of it [deg].
        rate: Mean rate of motor neurons in each [Hz].
        identical: Whether Brian2 has the same spikes after the weights are written back.
    """

    angle: tuple[float, ...]
    rate: tuple[float, ...]
    identical: bool

    def save(self, path: Path) -> None:
        """Write to a file."""
        with whole(path) as file:
            file.write(json.dumps([self.angle, self.rate, self.identical]) + "\n")

    @staticmethod
    def load(path: Path) -> "Episode":
        """Read what `save` wrote."""
        angle, rate, identical = json.loads(path.read_text())
        return Episode(tuple(angle), tuple(rate), identical)

    @property
    def late(self) -> float:
        """RMS angle over the last quarter [deg]."""
        last = np.array(self.angle[-(len(self.angle) // 4) :])
        return float(np.sqrt(np.square(last).mean()))


@dataclass(frozen=True)
class Found:
    """What all episodes gave.

    Arguments:
        episodes: By rule, one for each network.
        part: Length of a part [s].
        target: RMS angle to reach [deg].
    """

    episodes: Mapping[str, tuple[Episode, ...]]
    part: float
    target: float

    def late(self, name: str) -> float:
        """Mean over networks of the RMS angle late in the episode [deg]."""
        return float(np.mean([episode.late for episode in self.episodes[name]]))


@dataclass(frozen=True)
class ArmOnline(Study):
    """See the module's docstring.

    Arguments:
        seeds: Number of networks.
        duration: Of the episode [s].
        window: Between two updates [s].
        forgetting: Time constant of the traces of muscles and joint [s].
        lr: Steps of Adam, as a fraction of each parameter's size.
        alpha: Strength of the regulariser of FPTT.
        push: Largest external torque [N m].
        look, effort, rate: Weights in the loss [s, 1, 1].
        test: How long Brian2 repeats the arm with the learnt weights [s].
        target: RMS angle to reach late in the episode [deg].
    """

    title = "a spiking network learns to hold an arm while it holds it, in one episode"
    seeds: int = 5
    duration: float = 40.0
    window: float = 0.05
    forgetting: float = 0.1
    lr: float = 0.005
    alpha: float = 0.01
    push: float = 0.5
    look: float = 0.2
    effort: float = 0.01
    rate: float = 0.01
    test: float = 1.0
    target: float = 8.0

    def quick(self) -> "ArmOnline":
        """One network, a quarter of the episode."""
        return replace(self, seeds=1, duration=10.0, lr=0.01, test=0.3, target=25.0)

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Run each network under each rule."""
        folder = working_folder(out / "episodes", resume)
        rules = self.rules()
        episodes: dict[str, tuple[Episode, ...]] = {}
        for name in rules:
            made: list[Episode] = []
            for seed in range(self.seed, self.seed + self.seeds):
                if progress:
                    print(f"{name}, network {seed}", flush=True)
                path = folder / f"{name.replace(' ', '_')}-{seed}.json"
                made.append(cached(path, lambda n=name, s=seed: self.episode(n, s), Episode.load))
            episodes[name] = tuple(made)
        found = Found(episodes, self.duration / self.parts, self.target)
        figures = draw_all(out, found, [draw_episode, draw_late, draw_rate], styled=True, dpi=None)
        return publish(out, "An arm that is held while learning", metrics(found), [table(found)],
                       figures, str(__doc__))  # fmt: skip

    @property
    def parts(self) -> int:
        """Number of parts of an episode."""
        return max(4, round(self.duration / 1.0))

    def rules(self) -> dict[str, mn.Rule[Any] | None]:
        """The rules by name."""
        window = self.window * second
        return {
            NONE: None,
            TRACES: mn.RTRL(window, forgetting=self.forgetting * second),
            FPTT: mn.FPTT(window, alpha=self.alpha),
            WINDOW: mn.BPTT(window=window, update="window"),
        }

    def episode(self, name: str, seed: int) -> Episode:
        """One network under one rule."""
        loop = Loop(seed=seed)
        start = np.random.default_rng([seed, 1]).uniform(-0.3, 0.3, 1)
        model = mn.mirror(loop.network(start, World(), (0.0,)), train=TRAINED, namespace={},
                          surrogate=SURROGATE)  # fmt: skip
        steps = round(self.duration / loop.dt)
        torque = np.random.default_rng([seed, 2]).uniform(-self.push, self.push, steps)
        second_long = round(1 / loop.dt)
        load = torque[np.arange(steps) // second_long][:, None, None]
        seen: list[tuple[Float[np.ndarray, " time"], float]] = []

        def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
            angle, velocity = recording["joints.angle"], recording["joints.velocity"]
            motor = recording.spikes["motor"]
            seen.append((angle.detach().double().numpy().ravel(), float(motor.detach().mean())))
            value = (angle + self.look * velocity).square().mean((1, 2))
            value = value + self.effort * recording["muscles.activation"].square().mean((1, 2))
            value = value + self.rate * (motor.mean((1, 2)) / loop.dt / 100).square()
            return value.mean()

        task = mn.Task(self.duration * second, loss, record=RECORDED, loss_per_window=loss,
                       trial=lambda _: mn.Trial(inputs={"joints.load": load}))  # fmt: skip
        rule = self.rules()[name]
        if rule is None:
            with torch.no_grad():
                loss(model.run(self.duration * second, {"joints.load": load}, record=RECORDED,
                               seed=seed), mn.Trial())  # fmt: skip
        else:
            mn.fit(model, task, rule, lambda p: torch.optim.Adam(p, lr=self.lr), steps=1, clip=1.0,
                   seed=seed, report=None)  # fmt: skip
        degrees = np.degrees(np.concatenate([angle for angle, _ in seen]))
        rate = np.repeat([r for _, r in seen], [len(a) for a, _ in seen]) / loop.dt
        return Episode(
            tuple(float(np.sqrt(np.square(x).mean())) for x in np.array_split(degrees, self.parts)),
            tuple(float(x.mean()) for x in np.array_split(rate, self.parts)),
            self.identical(model, loop),
        )

    def identical(self, model: mn.Mirror, loop: Loop) -> bool:
        """Whether Brian2 has the mirror's spikes with the weights that were learnt."""

        def build() -> Any:
            network = loop.network(np.array([0.2]), World(), (0.0,))
            model.write_back(network)
            return network

        twin = mn.mirror(build(), dtype=torch.float64, namespace={})
        with torch.no_grad():
            recording = twin.run(self.test * second)
        run = mn.simulate(build, self.test * second, target="numpy", namespace={}, report=None)
        return same_spikes(recording, run, 0) and len(LAYERS) == 3


def metrics(found: Found) -> dict[str, Metric]:
    """Numbers by name."""
    made = {
        f"rms_{name.replace(' ', '_')}": Metric(found.late(name), "deg") for name in found.episodes
    }
    made["rms_traces"] = Metric.below(found.late(TRACES), "deg", found.target)
    made["ratio_traces"] = Metric.below(found.late(TRACES) / found.late(NONE), "1", 0.5)
    everyone = [e for each in found.episodes.values() for e in each]
    made["spikes_identical"] = Metric.holds(all(e.identical for e in everyone))
    return made


def table(found: Found) -> Table:
    """RMS angle at the start and late, by rule."""
    rows = [
        (
            name, f"{np.mean([e.angle[0] for e in each]):.1f}", f"{found.late(name):.1f}",
            f"{min(e.late for e in each):.1f} to {max(e.late for e in each):.1f}",
            f"{np.mean([np.mean(e.rate[-len(e.rate) // 4 :]) for e in each]):.0f}",
        )
        for name, each in found.episodes.items()
    ]  # fmt: skip
    columns = ("rule", "first part [deg]", "last quarter [deg]", "range", "motor rate, late [Hz]")
    return Table("RMS angle in one episode", columns, tuple(rows))


def draw_episode(found: Found) -> Figure:
    """RMS angle in each part of the episode: lines are means over networks, bands their range."""
    figure, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    for name, each in found.episodes.items():
        angles = np.array([episode.angle for episode in each])
        t = (np.arange(angles.shape[1]) + 0.5) * found.part
        (line,) = ax.plot(t, angles.mean(0), label=name)
        ax.fill_between(t, angles.min(0), angles.max(0), color=line.get_color(), alpha=0.15, lw=0)
    ax.axhline(found.target, color="0.5", linewidth=0.8, linestyle=":")
    ax.set(xlabel="time in the episode [s]", ylabel="RMS angle [deg]", yscale="log")
    ax.set_yticks(TICKS, labels=[f"{angle:g}" for angle in TICKS])
    ax.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    ax.text(
        0.995,
        found.target,
        "target",
        transform=ax.get_yaxis_transform(),
        ha="right",
        va="bottom",
        color="0.4",
    )
    return figure


def draw_late(found: Found) -> Figure:
    """RMS angle over the last quarter of the episode: bars are means, points are networks."""
    figure, ax = plt.subplots(figsize=(4.4, 3.2), layout="constrained")
    for place, (name, each) in enumerate(found.episodes.items()):
        ax.bar(place, found.late(name), width=0.6, color="0.8")
        ax.plot([place] * len(each), [episode.late for episode in each], "o", markersize=3)
    ax.axhline(found.target, color="0.5", linewidth=0.8, linestyle=":")
    ax.set_xticks(range(len(found.episodes)), list(found.episodes))
    ax.set_ylabel("RMS angle, late [deg]")
    return figure


def draw_rate(found: Found) -> Figure:
    """Mean rate of the motor neurons in each part of the episode, by rule."""
    figure, ax = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    for name, each in found.episodes.items():
        rates = np.array([episode.rate for episode in each])
        ax.plot((np.arange(rates.shape[1]) + 0.5) * found.part, rates.mean(0), label=name)
    ax.set(xlabel="time in the episode [s]", ylabel="rate of motor neurons [Hz]")
    ax.legend(frameon=False)
    return figure
