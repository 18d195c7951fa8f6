"""A long short-term memory in torch, which reads the frames of the taxels."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from ._generator import Trials


class Lstm(nn.Module):
    """One layer, read out at the end.

    Arguments:
        taxels, hidden, classes: Sizes.
    """

    def __init__(self, taxels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.layer = nn.LSTM(taxels, hidden, batch_first=True)
        self.out = nn.Linear(hidden, classes)

    def forward(self, x: Float[Tensor, "trial sample taxel"]) -> Float[Tensor, "trial class"]:
        """Scores of the classes."""
        return self.out(self.layer(x)[0].mean(1))


@dataclass(frozen=True)
class LstmSetting:
    """One training.

    Arguments:
        seed: Of weights and order.
        hidden, epochs, batch, lr: Of network and training.
        classes: Number of classes.
    """

    seed: int
    hidden: int = 128
    epochs: int = 60
    batch: int = 128
    lr: float = 3e-3
    classes: int = 27

    def answers(self, train: Trials, test: Trials) -> Int[np.ndarray, " trial"]:
        """Classes of the test's trials, after training."""
        x, y, x_test = (
            _standard(train, train),
            torch.from_numpy(train.label),
            _standard(test, train),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = Lstm(x.shape[2], self.hidden, self.classes).float()
        random = torch.Generator().manual_seed(self.seed)
        batches = -(-len(y) // self.batch)
        optimizer = torch.optim.Adam(model.parameters(), lr=self.lr)
        schedule = CosineAnnealingLR(optimizer, self.epochs * batches)
        for _ in range(self.epochs):
            for index in torch.randperm(len(y), generator=random).split(self.batch):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[index]), y[index]).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            return model(x_test).argmax(1).numpy()


def _standard(trials: Trials, like: Trials) -> Float[Tensor, "trial sample taxel"]:
    """Signals relative to mean and deviation of each taxel in the training."""
    mean, size = like.taxels.mean((0, 1)), like.taxels.std((0, 1))
    return torch.from_numpy((trials.taxels - mean) / np.maximum(size, 1.0)).float()
