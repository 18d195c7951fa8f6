r"""Dis-inhibitory control of the sign of plasticity: from one circuit to a classifier.

Errors arrive as top-down inhibition of inhibitory partners, and a Hebbian synapse reads them from
the rates of its pair: $\dot w \propto \varphi_E'(u_E) [r_E - T(r_I)] h$, with the exact inverse $T
= \varphi_I^{-1}$ or a line in its place. Four parts:

* the single circuit in Brian2: the rate at which the change of a weight has another sign, with a
  target, without top-down input (a threshold as in BCM), and without the inhibitory partner;
* a student in Brian2 equations, weights and feedback weights included, that learns the outputs of
  a teacher while it is controlled;
* a classifier of Fashion-MNIST that learns from its steady states, beside backpropagation; Brian2
  relaxes to the same states;
* the single circuit of spiking neurons, beside its rate version.

Source: Rossbroich & Zenke 2023 (NeurIPS), arXiv:2310.19614, doi:10.48550/arXiv.2310.19614, and its
code, fmi-basel/disinhibitory-control, with logged errors of 5.26 before and 0.0014 (linear) and
0.0029 (exact) after 300 s of teacher and student. Fashion-MNIST: Xiao et al. 2017,
arXiv:1708.07747.
Differs from it: 784-256-10 (three hidden layers there) and fewer epochs; the module `_student` says
how the student differs.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import one_hot
from tqdm.auto import tqdm

from mirrorneuron.bio.simulation._scope import preferring

from .._contracts import Result, Study
from .._kit.file import cached, whole, working_folder
from .._kit.images import Images, images
from ._circuit import ABLATED, EXACT, HELD, LINEAR, Circuit, Curve, grid
from ._classifier import (
    Rule,
    Training,
    Weights,
    closed_loop,
    feedback,
    open_loop,
)
from ._relaxation import relax
from ._report import Found, report_on
from ._spiking import SpikingCircuit
from ._student import Learning, Learnt, learn
from ._student import Rule as Threshold

RULES: tuple[Rule, ...] = ("backpropagation", "exact", "linear")
THRESHOLDS: tuple[Threshold, ...] = ("exact", "linear")
SWEPT = {None: (0.5, 4.5, 1.0, 3.0), 4.0: (4.0, 12.0, 2.5, 5.0), 3.0: (3.0, 10.0, 2.0, 4.0)}


@dataclass(frozen=True)
class Trained:
    """One training of the classifier: accuracy in the test before it and after each epoch."""

    accuracies: Sequence[float]

    def save(self, path: Path) -> None:
        """Write a file, complete or not at all."""
        with whole(path) as file:
            file.write(json.dumps(list(self.accuracies)))

    @staticmethod
    def load(path: Path) -> "Trained":
        """Read it."""
        return Trained(json.loads(path.read_text()))


@dataclass(frozen=True)
class Disinhibition(Study):
    """See the module's docstring.

    Arguments:
        data: Pictures of the classifier: "fashion_mnist", "mnist" or "digits".
        hidden, epochs, batch, seeds: Of its trainings.
        learning, rest: Of the student, and the time before in which feedback weights form [s].
        pairs: Teachers and students: seeds of their weights and inputs, less that of the study.
        inputs: Of a curve of the single circuit.
        spiking_inputs, spiking_size, measured: Of the spiking circuit; the last in [s].
    """

    title = "Dis-inhibitory circuits control the sign of plasticity: circuit, student, classifier"
    data: str = "fashion_mnist"
    hidden: int = 256
    epochs: int = 5
    batch: int = 100
    seeds: int = 3
    learning: float = 300.0
    rest: float = 20.0
    pairs: tuple[int, ...] = (2, 16)
    inputs: int = 401
    spiking_inputs: int = 24
    spiking_size: int = 50
    measured: float = 4.0

    def quick(self) -> "Disinhibition":
        """Digits, a short learning, fewer circuits: shows that everything runs."""
        return replace(
            self, data="digits", hidden=32, epochs=4, batch=50, seeds=1, learning=5.0, rest=5.0,
            pairs=(2,), inputs=101, spiking_inputs=8, spiking_size=20, measured=1.0,
        )  # fmt: skip

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Run the four parts, and report.

        A resumed run keeps the students and the trainings that are done.
        """
        pictures = images(self.data)
        folder = working_folder(out / "parts", resume)
        with preferring(codegen__target="numpy"):
            curves = self._curves()
            students = {
                rule: {pair: self._student(folder, rule, pair) for pair in self.pairs}
                for rule in tqdm(THRESHOLDS, "students", disable=not progress)
            }
            spiking, rates = self._spiking()
            deviation = self._deviation(pictures)
        with tqdm(
            total=len(RULES) * self.seeds * self.epochs, desc="epochs", disable=not progress
        ) as bar:
            trained = {
                rule: [
                    self._trained(folder, rule, seed, pictures, bar.update)
                    for seed in self._seeds()
                ]
                for rule in RULES
            }
        return report_on(
            out, Found(curves, students, trained, self.data, deviation, spiking, rates),
            about=str(__doc__),
        )  # fmt: skip

    def _seeds(self) -> range:
        return range(self.seed, self.seed + self.seeds)

    def _curves(self) -> Mapping[Circuit, Curve]:
        """Curves of the single circuit; those without top-down input on the grid of the source."""
        return {
            circuit: circuit.curve(grid(13.0 if circuit in ABLATED.values() else 10.0, self.inputs))
            for circuit in (*EXACT.values(), *LINEAR.values(), *ABLATED.values(), *HELD.values())
        }

    def _student(self, folder: Path, rule: Threshold, pair: int) -> Learnt:
        """One student, run or read from its file."""
        learning = Learning(rule, self.seed + pair, self.learning, self.rest)
        path = folder / f"student_{rule}_{pair}.npz"
        return cached(path, lambda: learn(learning), Learnt.load, repr(learning))

    def _trained(
        self, folder: Path, rule: Rule, seed: int, pictures: Images, tell: Callable[[], object]
    ) -> Sequence[float]:
        """One training of the classifier, done or read from its file."""
        training = Training(rule, seed, self.hidden, self.epochs, self.batch)
        path = folder / f"classifier_{rule}_{seed}.json"
        made = cached(
            path, lambda: Trained(training.accuracies(pictures, tell)), Trained.load,
            f"{self.data} {training}",
        )  # fmt: skip
        return made.accuracies

    def _spiking(self) -> tuple[Mapping[float | None, Curve], Mapping[float | None, float]]:
        """Curves of the spiking circuit by target, and where those of its rate version cross 0."""
        circuit = SpikingCircuit(
            self.seed, self.spiking_size, self.spiking_inputs, measured=self.measured
        )
        curves = {k: circuit.curve(k, low, high) for k, (low, high, _, _) in SWEPT.items()}
        rates = {k: circuit.rate_version(k, low, high) for k, (_, _, low, high) in SWEPT.items()}
        return curves, rates

    def _deviation(self, pictures: Images) -> float:
        """Largest difference of the classifier's steady states from Brian2's relaxation."""
        x = torch.from_numpy(pictures.pixels[:1]).double()
        weights = Weights.drawn(x.shape[1], self.hidden, 10, self.seed, torch.float64)
        label = one_hot(torch.from_numpy(pictures.labels[:1]), 10).double()
        free = open_loop(weights, x)
        held = closed_loop(weights, x, label, free, steps=100)
        drive, q = (x @ weights.w + weights.b)[0].numpy(), feedback(weights, free)[0].numpy()
        off: list[float] = []
        for state, controlled in ((free, False), (held, True)):
            found = relax(drive, weights.out.numpy(), q, label[0].numpy(), controlled)
            for name, value in found.items():
                off.append(float(np.abs(getattr(state, name)[0].numpy() - value).max()))
        return max(off)
