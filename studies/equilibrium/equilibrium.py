r"""Equilibrium propagation on a circle of nudges, and homeostasis of the Jacobian.

A network with feedback comes to rest, is nudged at its output, and comes to rest again: what its
activities change by is the gradient of its loss. Nudges on a circle in the complex plane make the
error of that fall as $|\beta|^N$ with their number, but only while feedback is the transpose of the
forward weights. Four parts:

* errors over the strength and number of nudges in random networks;
* the cosine with the exact gradient, by the angle between feedback and transposes;
* a classifier of Fashion-MNIST: transposes, feedback at 90°, and the same with homeostasis, a local
  loss that makes the Jacobian symmetric;
* the same fixed points from the relaxation $\tau \dot u = -u + F(u)$ of Brian2 equations.

Source: Laborieux & Zenke 2024 (ICLR), arXiv:2309.02214, doi:10.48550/arXiv.2309.02214. The contour
of nudges: Laborieux & Zenke 2022, arXiv:2209.00530. Fashion-MNIST: Xiao et al. 2017,
arXiv:1708.07747.
Differs from it: the nudge is that of the free fixed point, $\beta \, \partial L / \partial \sigma$,
and not that of each moment; two nudges in the training; sweeps from layer to layer stop where
potentials no longer move; stochastic gradient descent also for homeostasis; ten epochs for fifty.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import radians
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from mirrorneuron.bio.simulation._scope import preferring

from .._contracts import Result, Study
from .._kit.file import cached, working_folder
from .._kit.images import Images, images
from ._law import COUNTS, Random
from ._network import Network, settle, top_error
from ._relaxation import relax
from ._report import STRENGTHS, Found, report_on
from ._training import Outcome, Training

FEEDBACK: Mapping[str, tuple[float, float]] = {
    "symmetric": (0.0, 0.0),
    "without": (90.0, 0.0),
    "homeostasis": (90.0, 1.0),
}  # angle and homeostasis
BETWEEN = (0.1, 0.2)
ANGLES = (0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 90.0)
NUDGES = (0.0, 0.5, -0.5)


@dataclass(frozen=True)
class Equilibrium(Study):
    """See the module's docstring.

    Arguments:
        data: Pictures: "fashion_mnist", "mnist" or "digits".
        networks: Random networks for the law and the angles.
        hidden, epochs, batch, lr, seeds: Of the classifiers.
        pictures: In an epoch; None is all.
    """

    title = "Equilibrium propagation: errors by nudging, angles of feedback, homeostasis"
    data: str = "fashion_mnist"
    networks: int = 10
    hidden: tuple[int, ...] = (256, 256)
    epochs: int = 10
    batch: int = 50
    lr: float = 0.01
    seeds: int = 1
    pictures: int | None = None

    def quick(self) -> "Equilibrium":
        """Digits, fewer networks and epochs: shows that everything runs."""
        return replace(self, data="digits", networks=2, hidden=(32, 32), epochs=3, batch=20)

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Run the four parts, and report.

        A resumed run keeps the trainings that are done.
        """
        pictures = images(self.data)
        folder = working_folder(out / "parts", resume)
        some = [Random(seed) for seed in range(self.seed, self.seed + self.networks)]
        errors = {
            (count, strength): [one.error(strength, count) for one in some]
            for count in COUNTS
            for strength in sorted((*STRENGTHS, *BETWEEN))
        }
        cosines = {angle: [one.cosine(angle) for one in some] for angle in ANGLES}
        with preferring(codegen__target="numpy"):
            deviation = self._deviation(pictures)
        with tqdm(
            total=len(FEEDBACK) * self.seeds * self.epochs, desc="epochs", disable=not progress
        ) as bar:
            trained = {
                name: [
                    self._trained(folder, name, seed, pictures, bar.update)
                    for seed in range(self.seed, self.seed + self.seeds)
                ]
                for name in FEEDBACK
            }
        found = Found(errors, cosines, trained, self.data, deviation)
        return report_on(out, found, about=str(__doc__))

    def _trained(
        self, folder: Path, name: str, seed: int, pictures: Images, tell: Callable[[], object]
    ) -> Outcome:
        """One training, done or read from its file."""
        training = Training(
            *FEEDBACK[name], seed, self.hidden, self.epochs, self.batch, self.lr,
            pictures=self.pictures,
        )  # fmt: skip
        path = folder / f"{name}_{seed}.json"
        return cached(
            path, lambda: training.run(pictures, tell), Outcome.load, f"{self.data} {training}"
        )

    def _deviation(self, pictures: Images) -> float:
        """Largest difference of fixed points, free and nudged, from Brian2's relaxation."""
        x = torch.from_numpy(pictures.pixels[:1]).double()
        label = torch.eye(10, dtype=x.dtype)[pictures.labels[:1]]
        off: list[float] = []
        for angle in (0.0, 90.0):
            network = Network.drawn((x.shape[1], *self.hidden, 10), radians(angle), self.seed, 0.5)
            error = top_error(network, settle(network, x), label)
            for beta in NUDGES:
                expected = settle(network, x, beta * error)
                found = relax(network, x[0].numpy(), beta * error[0].numpy())
                off += [
                    float(np.abs(mine[0].numpy() - theirs).max())
                    for mine, theirs in zip(expected, found, strict=True)
                ]
        return max(off)
