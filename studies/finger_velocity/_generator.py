r"""Spikes of motor cortex while a finger reaches for random targets: generated, or from a file.

Targets lie on a grid of 8 x 8 with 15 mm between them; one or two movements of least jerk reach
each, after pauses from a gamma distribution. A third of the channels is tuned to velocity,
$\log \lambda_i = b_i + g\,(m_i |v| \cos(\theta - \theta_i) + s_i |v|) + \ldots$, with a position
term, four shared slow latents, drift, and 70 to 130 ms of lead. What is encoded is not quite what
is done: the velocity has an Ornstein-Uhlenbeck perturbation. Gains depend on whether the hand
moves, and preferred directions rotate during a movement: what recurrence can use.

Task: O'Doherty, Cardoso, Makin & Sabes 2017, doi:10.5281/zenodo.583331 (recordings);
movements: Flash & Hogan 1985, doi:10.1523/JNEUROSCI.05-07-01688.1985; tuning: Moran & Schwartz
1999, doi:10.1152/jn.1999.82.5.2676.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import lfilter

from mirrorneuron.errors import DataError

from ._network import DT

SESSIONS = {  # name to channels, mean rate of a channel [Hz], published R2 of the tiny network
    "indy_1": (96, 20.7, 0.752),
    "indy_2": (96, 12.7, 0.545),
    "indy_3": (96, 9.7, 0.746),
    "loco_1": (192, 13.3, 0.622),
    "loco_2": (192, 14.6, 0.608),
    "loco_3": (192, 15.2, 0.690),
}
DEPTHS = {  # of tuning, for which a Wiener filter explains 0.58 of 200 s
    "indy_1": 0.11, "indy_2": 0.19, "indy_3": 0.225, "loco_1": 0.14, "loco_2": 0.13, "loco_3": 0.14,
}  # fmt: skip
TRAINING, VALIDATION = 0.65, 0.10
LAYOUT = (
    "a folder with an .npz file for each session, SESSION.npz, with `spikes` (bool, bin x channel,"
    " bins of 4 ms, whether a threshold crossing fell into it) and `position` (float, bin x 2, of"
    " the cursor [mm])"
)


@dataclass(frozen=True)
class Session:
    """Spikes and velocity.

    Arguments:
        name: Of the session.
        spikes: Whether a channel spiked in a bin of 4 ms.
        velocity: Of the finger [mm/s].
        generated: Whether it is no recording.
    """

    name: str
    spikes: Bool[np.ndarray, "time channel"]
    velocity: Float[np.ndarray, "time 2"]
    generated: bool

    def part(self, first: float, last: float) -> "Session":
        """A stretch, as shares of the whole."""
        rows = slice(round(first * len(self.spikes)), round(last * len(self.spikes)))
        return Session(self.name, self.spikes[rows], self.velocity[rows], self.generated)

    @property
    def training(self) -> "Session":
        """The first part."""
        return self.part(0.0, TRAINING)

    @property
    def test(self) -> "Session":
        """The last part."""
        return self.part(TRAINING + VALIDATION, 1.0)

    @staticmethod
    def load(folder: Path, name: str) -> "Session":
        """A recording from a folder.

        Raises:
            DataError: It is missing, or of another layout.
        """
        path = folder / f"{name}.npz"
        try:
            with np.load(path, allow_pickle=False) as held:
                spikes, position = np.asarray(held["spikes"]), np.asarray(held["position"], float)
        except (OSError, KeyError, ValueError) as error:
            raise DataError(
                f"{path} is no recording of this study ({error}). It reads {LAYOUT}."
            ) from error
        if spikes.ndim != 2 or position.shape != (len(spikes), 2) or len(spikes) < 1000:
            raise DataError(
                f"{path}: spikes have the shape {spikes.shape} and positions {position.shape}. It"
                f" has to be {LAYOUT}, at least 1,000 bins."
            )
        if not np.isfinite(position).all():
            raise DataError(
                f"{path}: {np.sum(~np.isfinite(position))} positions are not finite, so that there"
                " is no velocity. Interpolate them, or cut the recording there."
            )
        return Session(name, spikes > 0, np.gradient(position, DT, axis=0), False)


def generate(name: str, seconds: float, seed: int) -> Session:
    """A generated session.

    Arguments:
        name: One of `SESSIONS`, whose channels and rates it has.
        seconds: Duration [s].
        seed: Of everything random; each session has its own.
    """
    channels, rate, _ = SESSIONS[name]
    rng = np.random.default_rng([seed, list(SESSIONS).index(name)])
    position, phase = reaches(round(seconds / DT), rng)
    velocity = np.gradient(position, DT, axis=0)
    spikes = _spikes(position, velocity, phase, (channels, rate, DEPTHS[name]), rng)
    return Session(name, spikes, velocity, True)


def reaches(
    steps: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "time 2"], Float[np.ndarray, " time"]]:
    """Position [mm], and how far the present movement is, 0 to 1, or -1 in pauses."""
    place, parts, phases, made = np.array([52.5, 52.5]), list[np.ndarray](), list[np.ndarray](), 0
    while made < steps:
        goal = 15.0 * rng.integers(0, 8, 2)
        way = goal - place
        stops = [goal]
        if rng.random() < 0.4:  # a first movement that misses, and a correction
            stops = [place + way * rng.uniform(0.6, 0.9) + rng.normal(0, 4, 2), goal]
        pause = np.tile(place, (round(rng.gamma(2.0, 0.08) / DT), 1))
        parts.append(pause)
        phases.append(np.full(len(pause), -1.0))
        for stop in stops:
            time = 0.25 + 0.004 * float(np.hypot(*(stop - place))) * rng.uniform(0.8, 1.25)
            s = np.arange(1, round(time / DT) + 1) / round(time / DT)
            parts.append(place + (stop - place) * (10 * s**3 - 15 * s**4 + 6 * s**5)[:, None])
            phases.append(s)
            place = stop
        made = sum(map(len, parts))
    return np.vstack(parts)[:steps], np.concatenate(phases)[:steps]


def _slow(steps: int, count: int, tau: float, rng: np.random.Generator) -> np.ndarray:
    """Ornstein-Uhlenbeck processes of unit variance, "time process"."""
    keep = np.exp(-DT / tau)
    noise = rng.standard_normal((steps, count)) * np.sqrt(1 - keep**2)
    return np.asarray(lfilter([1.0], [1.0, -keep], noise, axis=0))


def _spikes(
    position: np.ndarray, velocity: np.ndarray, phase: np.ndarray,
    kind: tuple[int, float, float], rng: np.random.Generator,
) -> Bool[np.ndarray, "time channel"]:  # fmt: skip
    """Spikes of some number of channels, of a mean rate [Hz] and depth of tuning."""
    (channels, rate, depth_of_all), steps, size = kind, len(velocity), velocity.std()
    encoded = velocity + rng.uniform(0.3, 0.6) * size * _slow(steps, 2, 0.15, rng)
    speed, angle = np.hypot(*encoded.T) / size, np.arctan2(encoded[:, 1], encoded[:, 0])
    gain, turn = np.where(phase < 0, 0.5, 1.2), np.where(phase < 0, 0.0, 0.9 * (phase - 0.5))
    latents, centred = _slow(steps, 4, 0.25, rng), (position - 52.5) / 50
    drift = _slow(steps, channels, 60.0, rng)
    tuned = rng.random(channels) < 0.35
    share = rng.lognormal(0, 0.6, channels)
    share *= rate * channels / share.sum()
    spikes = np.zeros((steps, channels), bool)
    for i in range(channels):
        lead = round(rng.uniform(0.07, 0.13) / DT)
        preferred, depth = rng.uniform(0, 2 * np.pi), rng.gamma(4.0, depth_of_all / 4) * tuned[i]
        moved = gain * speed * (depth * np.cos(angle - preferred - turn) + 0.3 * depth)
        moved = np.concatenate([moved[lead:], np.repeat(moved[-1], lead)])
        other = 0.1 * centred @ rng.normal(0, 1, 2) + 0.15 * latents @ rng.normal(0, 1, 4) / 2
        modulation = np.exp(np.clip(moved + other + 0.1 * drift[:, i], -5, 3))
        chance = share[i] * DT * modulation / modulation.mean()
        spikes[:, i] = rng.random(steps) < np.minimum(chance, 0.9)
    return spikes
