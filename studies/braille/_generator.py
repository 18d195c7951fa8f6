r"""Touch of Braille letters, generated: twelve capacitive taxels that slide over raised dots.

A fingertip with taxels on a staggered hexagonal patch slides over a cell of two by three dots. A
taxel sums what the dots press, $\sum_d e^{-r_d^2 / 2 \sigma^2}$, times its gain and the pressure,
through a low pass; ripple of the sliding skin, drift of the baseline and noise are added, and the
result is rounded to whole numbers. Speed, start, lateral offset and pressure differ in each trial,
gains in each taxel, one of which is dead. Gains, ripple and noise are such that the events in a
trial and taxel are as many as in the published recordings: `PUBLISHED`.

Task and sensor: Müller-Cleve et al. 2022, section 2.1, doi:10.3389/fnins.2022.951164. Cells of
letters: ISO 17049.
"""

from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
from jaxtyping import Float, Int
from scipy.signal import lfilter
from scipy.stats import norm

CLASSES = (" ", *ascii_uppercase)
DOTS = (
    "", "1", "12", "14", "145", "15", "124", "1245", "125", "24", "245", "13", "123", "134", "1345",
    "135", "1234", "12345", "1235", "234", "2345", "136", "1236", "2456", "1346", "13456", "1356",
)  # fmt: skip
PUBLISHED = {1.0: 87.6, 2.0: 38.0, 5.0: 10.5, 10.0: 3.4}  # events of a taxel in a trial, by theta
FRAMES, FRAME = 51, 25e-3
FINE = 5  # steps of the simulation in a frame
SENSOR = 31
QUANTILES = (np.arange(11) + 0.5) / 11  # of the gains of the living taxels
PITCH, SPACING = 3.0, 2.5  # of taxels and of dots [mm]


@dataclass(frozen=True)
class Touch:
    """Constants of the generator.

    Arguments:
        gain, spread: Of a taxel, in units of the signal: median and logarithmic deviation.
        field: Radius $\\sigma$ of a taxel [mm].
        speed, slower: Mean speed [mm/s], and relative deviation over trials.
        lateral, early, pressure: Deviations over trials: offset across and along the movement [mm],
            and pressure [1].
        tau: Of the low pass [s].
        ripple, slow: Deviation of ripple, and its time constant [s].
        drift, noise: Deviations of the baseline at the end, and of each frame.
    """

    gain: float = 24.8
    spread: float = 0.65
    field: float = 1.5
    speed: float = 20.0
    slower: float = 0.05
    lateral: float = 0.3
    early: float = 0.5
    pressure: float = 0.1
    tau: float = 60e-3
    ripple: float = 2.35
    slow: float = 0.062
    drift: float = 3.9
    noise: float = 0.17

    def draw(self, trials: int, seed: int) -> "Trials":
        """Trials of all classes, as many of each, in random order."""
        rng = np.random.default_rng([seed, 31])
        label = rng.permutation(np.repeat(np.arange(len(CLASSES)), trials))
        sensor = np.random.default_rng(SENSOR)  # the same in all trials and for all seeds
        gains = sensor.permutation([0.0, *self.gain * np.exp(self.spread * norm.ppf(QUANTILES))])
        pressed = self._pressed(label, rng)
        force = 1 + self.pressure * rng.standard_normal(len(label))
        a = 1 - np.exp(-FRAME / FINE / self.tau)
        smooth = np.asarray(lfilter([a], [1.0, a - 1.0], pressed, axis=1))[:, FINE - 1 :: FINE]
        signal = smooth * force[:, None, None]
        signal = gains * signal + (gains > 0) * self._noise(len(label), rng)
        rest = np.where(gains > 0, sensor.uniform(10, 60, 12), 0.0)
        taxels = np.maximum(np.rint(rest + signal), 0)
        return Trials(
            taxels.astype(np.int64), np.tile(FRAME * np.arange(FRAMES), (len(label), 1)), label
        )

    def _pressed(self, label: Int[np.ndarray, " trial"], rng: np.random.Generator) -> np.ndarray:
        """How strongly dots press on taxels, "trial time taxel"."""
        found = np.zeros((len(label), FRAMES * FINE, 12), np.float32)
        time = FRAME / FINE * np.arange(FRAMES * FINE)
        taxel = taxels()
        for k, which in enumerate(label):
            speed = self.speed * (1 + self.slower * rng.standard_normal())
            along = speed * time - 12.0 + self.early * rng.standard_normal()
            across = self.lateral * rng.standard_normal()
            for dot in DOTS[which]:
                column, row = divmod(int(dot) - 1, 3)
                x = along[:, None] + taxel[:, 0] - SPACING * (column - 0.5)
                y = taxel[:, 1] + across - SPACING * (1 - row)
                found[k] += np.exp(-(x**2 + y**2) / (2 * self.field**2))
        return found

    def _noise(self, trials: int, rng: np.random.Generator) -> np.ndarray:
        """Drift, ripple and noise of each taxel."""
        ramp = np.linspace(0, 1, FRAMES)[:, None] * rng.standard_normal((trials, 1, 12))
        white, ripple = rng.standard_normal((2, trials, FRAMES, 12))
        keep = np.exp(-FRAME / self.slow)
        ripple[:, 1:] *= np.sqrt(1 - keep**2)
        ripple = np.asarray(lfilter([1.0], [1.0, -keep], ripple, axis=1))
        return self.drift * ramp + self.noise * white + self.ripple * ripple


def taxels() -> Float[np.ndarray, "taxel 2"]:
    """Places of the taxels on the fingertip, along and across the movement [mm]."""
    rows = [(x + 0.5 * (row % 2), row - 1.5) for row in range(4) for x in (-1.25, -0.25, 0.75)]
    return PITCH * np.array(rows) * (1.0, np.sqrt(3) / 2)


@dataclass(frozen=True)
class Trials:
    """Trials of touch.

    Arguments:
        taxels: Signals, whole numbers.
        time: When they were sampled [s].
        label: Class of each trial.
    """

    taxels: Int[np.ndarray, "trial sample taxel"]
    time: Float[np.ndarray, "trial sample"]
    label: Int[np.ndarray, " trial"]

    def some(self, index: Int[np.ndarray, " chosen"]) -> "Trials":
        """Those of the given indices."""
        return Trials(self.taxels[index], self.time[index], self.label[index])
