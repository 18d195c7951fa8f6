r"""Braille letters by touch: events of capacitive taxels, read by spiking networks.

A fingertip of twelve taxels slides over 26 letters and a space. Sigma-delta encoding turns its
signals into ON and OFF events, which networks of current-based neurons read: without recurrence, as
published with it, and improved: neurons with time constants that differ and are trained, inputs
with delays that differ, weights that start such that fluctuations reach the threshold. Networks are
Brian2 equations, trained through their mirror with the native engine; trained values are written
back, and Brian2 has to count the same spikes. An LSTM reads the frames themselves.

The recordings are in no package. Trials are *generated*, with as many events in a taxel as the
published ones at four thresholds; `--data FILE` reads recordings, in five folds.

Differs from the source: the costs of spikes are means over trials; gradients are clipped; the step
falls to zero; 80 epochs instead of 300.

Source: Müller-Cleve et al. 2022, doi:10.3389/fnins.2022.951164, arXiv:2205.15864; start of the
improved reader: Rossbroich, Gygax & Zenke 2022, doi:10.1088/2634-4386/ac97bb; time constants that
differ: Perez-Nieves et al. 2021, doi:10.1038/s41467-021-26022-3.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from tqdm.auto import tqdm

from mirrorneuron.bio.simulation._scope import preferring

from .._contracts import Result, Study
from .._kit.file import cached, working_folder
from ._encoder import counts
from ._generator import CLASSES, FRAME, FRAMES, PUBLISHED, Touch, Trials
from ._lstm import LstmSetting
from ._network import READINGS
from ._reader import Kind, Read, Setting, Shown, read, shown
from ._recording import recorded
from ._report import Found, report_on

Reader = Kind | Literal["LSTM"]
READERS: tuple[Reader, ...] = ("feed-forward", "recurrent", "improved", "LSTM")
TESTED = 0.2
FOLDS = 5


@dataclass(frozen=True)
class Braille(Study):
    """See the module's docstring.

    Arguments:
        path: File of recordings; None generates trials.
        trials: Of each letter, where they are generated.
        theta: Threshold of the encoding that networks are trained with: 1, 2, 5 or 10.
        hidden, epochs, batch: Of the spiking networks.
        lstm, lstm_epochs: Neurons of the LSTM, and its epochs.
        seeds: Trainings of each reader; of recordings there are five, one a fold.
        compared: Trials that Brian2 runs after each training.
        judged: Whether trainings are long enough for the targets.
    """

    title = "Braille letters by touch: events of taxels, read by spiking networks"
    path: str | None = None
    trials: int = 200
    theta: float = 1.0
    hidden: int = 450
    epochs: int = 80
    batch: int = 128
    lstm: int = 128
    lstm_epochs: int = 40
    seeds: int = 1
    compared: int = 5
    judged: bool = True

    def quick(self) -> "Braille":
        """Few trials and updates: shows that everything runs."""
        return replace(
            self, trials=10, hidden=40, epochs=4, batch=54, lstm=24, lstm_epochs=3, compared=1,
            judged=False,
        )  # fmt: skip

    def with_data(self, path: Path) -> "Braille":
        """The same study with a file of recordings.

        Raises:
            DataError: It is missing, or of another layout.
        """
        recorded(path)
        return replace(self, path=str(path), seeds=FOLDS, batch=min(self.batch, 12))

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Train and test all readers; a resumed run keeps what is done."""
        folder, threads = working_folder(out / "trainings", resume), torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with preferring(codegen__target="numpy"):
                found = self.found(folder, progress)
        finally:
            torch.set_num_threads(threads)
        return report_on(out, found, self.title, str(__doc__))

    def found(self, folder: Path, progress: bool) -> Found:
        """Everything that is found."""
        trials, classes = self.data()
        duration = FRAMES * FRAME if self.path is None else float(trials.time[:, -1].min())
        data = shown(trials, READINGS[self.theta], duration)
        runs: dict[str, list[Read]] = {kind: [] for kind in READERS}
        cases: list[tuple[Reader, int]] = [(k, n) for n in range(self.seeds) for k in READERS]
        for kind, seed in tqdm(cases, "trainings", disable=not progress):
            runs[kind].append(self.trained(kind, seed, (trials, data), folder))
        kept = Trials(trials.taxels[:1], trials.time[:1], trials.label[:1])
        return Found(
            classes, self.theta, events(trials), runs, kept, data.some(np.array([0])),
            self.path is not None, self.judged,
        )  # fmt: skip

    def data(self) -> tuple[Trials, tuple[str, ...]]:
        """Trials, and the names of their classes."""
        if self.path is not None:
            return recorded(Path(self.path))
        return Touch().draw(self.trials, self.seed), CLASSES

    def split(
        self, label: Int[np.ndarray, " trial"], seed: int
    ) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
        """Trials of the training and of the test: a fold of each letter, or the last ones."""
        if self.path is None:
            first = round((1 - TESTED) * len(label))
            return np.arange(first), np.arange(first, len(label))
        order = np.random.default_rng([self.seed, 19]).permutation(len(label))
        order = order[np.argsort(label[order], kind="stable")]
        inside = np.arange(len(label)) % FOLDS == seed
        return order[~inside], order[inside]

    def trained(self, kind: Reader, seed: int, data: tuple[Trials, Shown], folder: Path) -> Read:
        """A training, or what it left."""
        parts, told = self.split(data[0].label, seed), repr((kind, seed, self))
        path = folder / f"{kind}_{seed}.json"
        return cached(path, lambda: self.training(kind, seed, data, parts, folder), Read.load, told)

    def training(
        self, kind: Reader, seed: int, data: tuple[Trials, Shown],
        parts: tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]], folder: Path,
    ) -> Read:  # fmt: skip
        """One training."""
        (trials, events_), (train, test), seed = data, parts, self.seed + seed
        classes = int(trials.label.max()) + 1
        label = trials.label[test]
        if kind == "LSTM":
            setting = LstmSetting(seed, self.lstm, self.lstm_epochs, self.batch, classes=classes)
            answer = setting.answers(trials.some(train), trials.some(test))
            return Read(float(np.mean(answer == label)), [], answer.tolist(), label.tolist())
        spiking = Setting(kind, self.theta, seed, self.hidden, classes, self.epochs, self.batch)
        place = folder / f"{kind}_{seed}"
        return read(spiking, events_.some(train), events_.some(test), place, self.compared)


def events(trials: Trials) -> Mapping[float, float]:
    """Events of a taxel in a trial, by threshold."""
    signals = trials.taxels.transpose(0, 2, 1).reshape(-1, trials.taxels.shape[1])
    return {theta: float(counts(signals, theta).mean()) for theta in PUBLISHED}
