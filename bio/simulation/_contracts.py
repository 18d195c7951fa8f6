"""What a simulation backend is: a function from a job to what the run gave."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict

from numpy.typing import NDArray

from mirrorneuron._progress import progress_bar, say
from mirrorneuron.units import Dimensions

from ..recording import Spikes

Array = NDArray[Any]


class Options(TypedDict, total=False):
    """What only some backends of `simulate` understand: see there."""

    target: str
    threads: Any
    fast_math: bool
    hardware: str
    precision: str
    python: str | PathLike[str]
    compile: bool


@dataclass(frozen=True)
class Progress:
    """How far a simulation is, on stderr.

    Arguments:
        shown: Whether to show it.
    """

    shown: bool

    @contextmanager
    def running(self, duration: float) -> Generator[Callable[[float], None]]:
        """A bar for a run of `duration` [s], and the function that sets the fraction done [1]."""
        form = "{desc}: {percentage:3.0f}%|{bar}| {n:.4g}/{total:.4g} s [{elapsed}<{remaining}]"
        with progress_bar(
            total=duration, shown=self.shown, desc="simulate", bar_format=form, leave=False
        ) as bar:

            def advance(fraction: float) -> None:
                bar.update(fraction * duration - bar.n)

            yield advance

    def say(self, text: str) -> None:
        """One line about what is going on."""
        if self.shown:
            say(f"simulate: {text}")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a backend is asked for: checked, in SI floats.

    Arguments:
        asked: How messages call the simulation.
        build: Makes the network.
        namespace: Names for equations whose group has no namespace of its own.
        around: Whether these are those around `build`, of which not all are meant.
        duration: Length of the run [s].
        seed: Seed of the random numbers, or None for ever new ones.
        record: Variables to record, each with its elements, or None for all of them.
        spikes: Groups whose spikes are recorded, or None for all of them.
        interval: Time between two samples [s], or None for one a step.
        directory: A directory of this simulation alone.
        kept: Whether the directory stays when the simulation is over.
        memory: What the process may use [byte].
        options: Those of `Backend.options` that were given.
        progress: Where to say how far it is.
    """

    asked: str
    build: Callable[[], Any]
    namespace: Mapping[str, Any]
    around: bool
    duration: float
    seed: int | None
    record: Mapping[str, Any]
    spikes: Sequence[str] | None
    interval: float | None
    directory: Path
    kept: bool
    memory: int
    options: Mapping[str, Any]
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a backend gives back: see the fields of `Simulation`."""

    backend: str
    dt: float
    t: Array
    spikes: Mapping[str, Spikes]
    traces: Mapping[str, Array]
    indices: Mapping[str, Array]
    final: Mapping[str, Array]
    units: Mapping[str, Dimensions]
    seconds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A place where networks run.

    Arguments:
        run: Runs a job. It leaves nothing behind in the process or outside of the job's directory.
        options: Names of the arguments of `simulate` that only some backends understand.
    """

    run: Callable[[Job], Outcome]
    options: frozenset[str] = frozenset()
