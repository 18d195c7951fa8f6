"""The recordings: sound and spikes of a receptor, and how trains of spikes are shifted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mirrorneuron.errors import MissingDependency

Times = Float[np.ndarray, " _"]

DURATION = 10.0
SOUND_SD = 0.125


@dataclass(frozen=True)
class Session:
    """One recording.

    Arguments:
        sound: Envelope in units of SOUND_SD, mean over each time step.
        spikes: Spike times [s].
        dt: Time step [s].
    """

    sound: Float[np.ndarray, " time"]
    spikes: Times
    dt: float

    @staticmethod
    def load(number: int, dt: float) -> "Session":
        """Recording 1 or 2.

        Raises:
            MissingDependency: nitime, which carries the data, is not installed.
        """
        try:
            import nitime
        except ImportError as error:
            raise MissingDependency("the study 'grasshopper'", "nitime", "data") from error
        folder = Path(str(nitime.__file__)).parent / "data"
        sound = np.loadtxt(folder / f"grasshopper_stimulus{number}.txt", usecols=1)
        spikes = np.loadtxt(folder / f"grasshopper_spike_times{number}.txt") * 1e-6
        width = round(dt / 50e-6)
        heard = np.sort(spikes[spikes < DURATION])
        return Session(sound.reshape(-1, width).mean(1) / SOUND_SD, heard, dt)

    def steps(self, latency: float) -> Int[np.ndarray, " spike"]:
        """Step in which the neuron has to fire for each spike, `latency` before it."""
        step = np.floor((self.spikes - latency) / self.dt + 1e-6).astype(np.int64)
        return step[(step >= 0) & (step < len(self.sound))]


def late(times: Times, latency: float) -> Times:
    """Spike times as they would be recorded."""
    shifted = times + latency
    return shifted[(shifted >= 0) & (shifted < DURATION)]
