r"""Implicit variance regularisation: why learning from two views of a sample does not collapse.

A network that predicts the embedding of one view from that of another needs no negative samples:
predictor and stop-gradient keep the variance of each eigenmode of the embeddings up. Two parts:

* a linear network on isotropic input: the eigenvalues, simulated with gradients of the losses,
  beside the equations; without predictor or stop-gradient they collapse;
* a network for Fashion-MNIST, without labels and without a moving average of its weights: linear
  probe and participation ratio of its embeddings, learnt with IsoLoss and with DirectPred.

Source: Halvagal, Laborieux & Zenke 2023 (NeurIPS), arXiv:2212.04858,
doi:10.48550/arXiv.2212.04858. Fashion-MNIST: Xiao et al. 2017, arXiv:1708.07747.
Differs from it: two fully connected hidden layers in place of ResNet-18, and Fashion-MNIST with few
epochs in place of CIFAR-10, CIFAR-100, STL-10 and TinyImageNet.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm.auto import tqdm

from .._contracts import Result, Study
from .._kit.file import cached, working_folder
from .._kit.images import Images, images
from ._encoder import Outcome, Training
from ._linear import LOSS, Case, Linear
from ._loss import Loss
from ._report import Found, Simulated, report_on

LOSSES: tuple[Loss, ...] = ("iso", "direct")


@dataclass(frozen=True)
class IsoLoss(Study):
    """See the module's docstring.

    Arguments:
        data: Pictures: "fashion_mnist", "mnist" or "digits".
        samples: In each step of the linear network.
        hidden, embedding, epochs, batch, seeds: Of the trainings on pictures.
        pictures, probed: Numbers of pictures for a training and for the linear probe.
    """

    title = "Implicit variance regularisation: eigenvalues, collapse and IsoLoss"
    data: str = "fashion_mnist"
    samples: int = 2000
    hidden: int = 256
    embedding: int = 128
    epochs: int = 10
    batch: int = 200
    seeds: int = 2
    pictures: int = 20000
    probed: int = 20000

    def quick(self) -> "IsoLoss":
        """Digits, fewer samples and epochs: shows that everything runs."""
        return replace(
            self, data="digits", samples=500, hidden=32, embedding=16, epochs=3, batch=100, seeds=1
        )

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Run both parts, and report.

        A resumed run keeps the trainings that are done.
        """
        pictures = images(self.data)
        folder = working_folder(out / "parts", resume)
        linear: dict[Case, Linear] = {
            case: Linear(case, self.seed, batch=self.samples) for case in LOSS
        }
        simulated: dict[Case, Simulated] = {
            case: Simulated(one, one.simulate())
            for case, one in tqdm(linear.items(), "linear", disable=not progress)
        }
        with tqdm(
            total=len(LOSSES) * self.seeds * self.epochs, desc="epochs", disable=not progress
        ) as bar:
            trained: dict[Loss, list[Outcome]] = {
                loss: [
                    self._trained(folder, loss, seed, pictures, bar.update)
                    for seed in range(self.seed, self.seed + self.seeds)
                ]
                for loss in LOSSES
            }
        return report_on(out, Found(simulated, trained, self.data), about=str(__doc__))

    def _trained(
        self, folder: Path, loss: Loss, seed: int, pictures: Images, tell: Callable[[], object]
    ) -> Outcome:
        """One training, done or read from its file."""
        training = Training(
            loss, "cosine", seed, self.hidden, self.embedding, self.epochs, self.batch,
            pictures=self.pictures, probed=self.probed,
        )  # fmt: skip
        path = folder / f"{loss}_{seed}.json"
        return cached(
            path, lambda: training.run(pictures, tell), Outcome.load, f"{self.data} {training}"
        )
