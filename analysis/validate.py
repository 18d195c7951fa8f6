"""Does the mirror do what the reference does? From two simulations to three answers.

(a) Free run: both sides simulate alone; are the spikes the same, and do the variables, synaptic
    weights among them, take the same paths until a spike differs?
(b) Locked steps: from the reference's state, one mirrored step; how far off is the result? This
    stays sharp in chaotic networks, where (a) fails for the last bit of a transcendental function.
(c) Statistics: rate, irregularity and variability of each neuron; do their means agree?

Nothing here simulates: a `Comparison` brings what both simulations gave, `judge` answers.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from mirrorneuron._arguments import FromZero, checked
from mirrorneuron.errors import MissingDependency

from . import _elephant
from ._contracts import Statistic, check_positive
from .coincidence import f1
from .report import Part, Picture, Table, fragment, write_page
from .statistics import statistics as neuron_statistics
from .validation import Agreement, Comparison, Events, FreeRun, Locked, LockedStep, Question

LOCKED = 1e-12  # relative error of a single step that counts as rounding
TRACE = 1e-9  # relative error that no variable may exceed, even if it moves no spike
SHARE = 0.05  # difference of means that is accepted at any confidence
COMPARED = ("rate", "cv", "cv2", "fano", "lv")
_BLOCK = 256  # neurons whose rasters are in memory together


@checked
@dataclass(frozen=True)
class Validation:
    """Three answers about a mirror, and the verdict that follows from them.

    Print it, or leave it as the last line of a notebook cell; `save` writes page, figures, JSON.
    """

    comparison: Comparison
    tolerance: FromZero
    free_run: tuple[FreeRun, ...]
    paths: tuple[Locked, ...]
    locked: tuple[Locked, ...]
    statistics: tuple[Agreement, ...]
    unanswered: Mapping[Question, str]

    @property
    def identical(self) -> bool:
        """Whether there were spikes, and every one of them is the same on both sides."""
        return self._alive and all(run.identical for run in self.free_run)

    @property
    def ok(self) -> bool:
        """Identical spikes; or exact steps, and agreeing statistics where there were spikes."""
        return not self._faults()

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if faults := self._faults():
            return "The mirror is not shown to equal Brian2: " + "; ".join(faults) + "."
        if self.identical:
            count = sum(run.n_reference for run in self.free_run)
            return f"The mirror equals Brian2: all {count:,} spikes at the same step and index."
        exact = f"each step agrees to {max(v.error for v in self.locked):.1e}"
        if not self._alive:
            return f"The mirror follows Brian2: {exact}. Nothing spiked."
        parted = self._first_divergence()
        return (
            f"The mirror follows Brian2: {exact}, and the statistics agree. The network amplifies "
            f"rounding, so that single spikes differ from {parted:.4g} s on."
        )

    def __str__(self) -> str:
        return "\n\n".join(map(str, self._parts())) + "\n"

    def _repr_html_(self) -> str:
        return fragment(self._parts())

    def to_json(self) -> str:
        """All numbers as strict JSON; what is not a finite number is null."""
        content = {
            "ok": self.ok,
            "verdict": self.verdict,
            "dt": self.comparison.dt,
            "n_steps": self.comparison.n_steps,
            "dtype": self.comparison.dtype,
            "tolerance": self.tolerance,
            "free_run": [{**asdict(run), "identical": run.identical} for run in self.free_run],
            "paths": [asdict(path) for path in self.paths],
            "locked_steps": [asdict(variable) for variable in self.locked],
            "statistics": [asdict(agreement) for agreement in self.statistics],
            "unanswered": dict(self.unanswered),
            "versions": dict(self.comparison.versions),
        }
        return json.dumps(_strict(content), indent=2, allow_nan=False) + "\n"

    def save(self, directory: str | Path) -> Path:
        """Writes validation.json, figures and a page with all of it; returns the page's path.

        Arguments:
            directory: Where to write; made if it is missing.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "validation.json").write_text(self.to_json(), encoding="utf-8")
        parts = [*self._parts(), *self._pictures(directory)]
        return write_page(directory / "validation.html", "Validation of a mirror", parts)

    @property
    def _alive(self) -> bool:
        return any(run.n_reference + run.n_mirror for run in self.free_run)

    def _first_divergence(self) -> float | None:
        times = [run.first_divergence for run in self.free_run]
        return min((time for time in times if time is not None), default=None)

    def _faults(self) -> list[str]:
        if self.identical:
            allowed = max(TRACE, self.tolerance)
            steps = [_off(variable) for variable in self.locked if not variable.error <= allowed]
            return steps + [_strayed(path) for path in self.paths if not path.within]
        return list(self._faults_of_a_diverging_run())

    def _faults_of_a_diverging_run(self) -> Iterator[str]:
        if (parted := self._first_divergence()) is not None and not self._rounding:
            yield f"spikes differ from {parted:.4g} s on, and no rounding error explains it"
        if not self.locked:
            yield "locked steps were not compared" + self._why("locked steps")
        yield from (_off(variable) for variable in self.locked if not variable.within)
        if self._alive and not self.statistics:
            yield "statistics were not compared" + self._why("statistics")
        yield from (
            f"{a.statistic} of '{a.object}' is {_number(a.mirror)}, not {_number(a.reference)}"
            for a in self.statistics
            if a.agrees is False
        )

    @property
    def _rounding(self) -> bool:
        """Whether steps differ by rounding and no more; without any, nothing could grow."""
        errors = [variable.error for variable in self.locked]
        return all(variable.within for variable in self.locked) and any(errors)

    def _why(self, question: Question) -> str:
        return f" ({self.unanswered[question]})" if question in self.unanswered else ""

    def _parts(self) -> list[Part]:
        answers: dict[Question, Table] = {
            "free run": _free_run_table(self.free_run),
            "locked steps": _error_table(
                "(b) Locked steps: largest relative error", self.locked, self.tolerance
            ),
            "statistics": _statistics_table(self.statistics),
        }
        tables = [
            f"{table.caption}: not answered. {self.unanswered[question]}"
            if question in self.unanswered
            else table
            for question, table in answers.items()
        ]
        free_run, *others = tables
        paths = _error_table(
            "(a) Free run: largest relative error of the variables until a spike differs",
            self.paths,
            max(TRACE, self.tolerance),
        )
        shown = [paths] if self.paths else []
        return [self.verdict, free_run, *shown, *others, self._setting()]

    def _setting(self) -> str:
        c = self.comparison
        versions = "".join(f", {name} {version}" for name, version in c.versions.items())
        return f"{c.duration:g} s in {c.n_steps:,} steps of {c.dt * 1e3:g} ms, {c.dtype}{versions}"

    def _pictures(self, directory: Path) -> Iterator[Picture]:
        from .plot import save_figure
        from .validation_figures import figure_agreement, figure_spikes

        for number, run in enumerate(self.free_run):
            path = directory / f"spikes_{number}_{re.sub(r'[^A-Za-z0-9_-]', '_', run.object)}.png"
            reference, mirror = self.comparison.trains(run.object)
            save_figure(figure_spikes(run.object, reference, mirror), path)
            yield Picture(
                path,
                f"'{run.object}' in a free run. Each mark is a spike, black where Brian2 and the"
                " mirror have it at the same step. Below: rate of the population. Right: intervals"
                " between spikes, and the rate of each neuron on both sides, equal on the line.",
            )
        if self.locked or self.statistics:
            path = directory / "agreement.png"
            figure = figure_agreement(self.locked, self.statistics, self.tolerance)
            save_figure(figure, path)
            yield Picture(
                path,
                "Left: largest relative error of each variable after one mirrored step from"
                " Brian2's state. Right: how far statistics of the mirror are from Brian2's. What"
                " lies on green ground is within what is allowed.",
            )


@checked
def judge(comparison: Comparison, tolerance: float = LOCKED) -> Validation:
    """Answers the three questions about two simulations.

    Spikes count as the same at the same step and index. A statistic agrees if the means over the
    neurons differ by no more than max(5 %, 2 SEM), the SEM being that of the neurons' own
    differences, so that a population of unlike neurons does not widen it.

    Arguments:
        comparison: What the simulations gave.
        tolerance: Relative error of a locked step that counts as rounding [1].

    Raises:
        DomainError: The tolerance is not positive.
    """
    check_positive(tolerance, "judge(comparison, tolerance)", "tolerance", "1")
    compared, unanswered = _statistics(comparison)
    return Validation(
        comparison=comparison,
        tolerance=tolerance,
        free_run=tuple(_free_run(comparison, name) for name in comparison.spikes),
        paths=tuple(
            _worst(comparison, name, error, max(TRACE, tolerance))
            for name, error in comparison.paths.items()
        ),
        locked=tuple(
            _worst(comparison, name, error, tolerance) for name, error in comparison.locked.items()
        ),
        statistics=compared,
        unanswered=MappingProxyType(dict(comparison.unanswered) | unanswered),
    )


class _Statistics(NamedTuple):
    agreements: tuple[Agreement, ...]
    unanswered: dict[Question, str]


def _free_run(comparison: Comparison, name: str) -> FreeRun:
    spikes = comparison.spikes[name]
    stride = comparison.n_steps + 2  # so that one step never reaches the next neuron
    reference, mirror = spikes.reference.keys(stride), spikes.mirror.keys(stride)
    different = np.setxor1d(reference, mirror, assume_unique=True) % stride
    return FreeRun(
        object=name,
        n_neurons=spikes.n_neurons,
        n_reference=reference.size,
        n_mirror=mirror.size,
        n_shared=(reference.size + mirror.size - different.size) // 2,
        first_divergence=float(different.min() * comparison.dt) if different.size else None,
        f1=f1(reference, mirror, precision=1.0),
    )


def _worst(comparison: Comparison, name: str, found: LockedStep, tolerance: float) -> Locked:
    error = float(found.error)
    time = None if found.step is None else float(found.step * comparison.dt)
    return Locked(name, error, time, within=error <= tolerance)


def _statistics(comparison: Comparison) -> _Statistics:
    if "statistics" in comparison.unanswered:
        return _Statistics((), {})
    try:
        _elephant.require()
    except MissingDependency as missing:
        return _Statistics((), {"statistics": str(missing)})
    return _Statistics(
        tuple(
            _agreement(comparison, name, neuron_statistics[statistic])
            for name in comparison.spikes
            for statistic in COMPARED
        ),
        {},
    )


def _agreement(comparison: Comparison, name: str, statistic: Statistic[...]) -> Agreement:
    spikes = comparison.spikes[name]
    reference = _per_neuron(comparison, spikes.reference, spikes.n_neurons, statistic)
    mirror = _per_neuron(comparison, spikes.mirror, spikes.n_neurons, statistic)
    both = np.isfinite(reference) & np.isfinite(mirror)
    n = int(both.sum())
    if not n:
        nothing = (math.nan,) * 4
        return Agreement(name, statistic.label, statistic.unit, 0, *nothing, agrees=None)
    means = float(reference[both].mean()), float(mirror[both].mean())
    difference = (mirror - reference)[both]
    sem = float(difference.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    allowed = max(SHARE * abs(means[0]), 2 * sem)
    agrees = abs(means[1] - means[0]) <= allowed
    return Agreement(name, statistic.label, statistic.unit, n, *means, sem, allowed, agrees)


def _per_neuron(
    comparison: Comparison, events: Events, n_neurons: int, statistic: Statistic[...]
) -> Float[np.ndarray, " neuron"]:
    starts = range(0, n_neurons, _BLOCK)
    rasters = (_raster(events, s, min(s + _BLOCK, n_neurons), comparison.n_steps) for s in starts)
    return np.concatenate([np.empty(0), *(statistic(r, comparison.dt) for r in rasters)])


def _raster(events: Events, start: int, stop: int, n_steps: int) -> Bool[np.ndarray, "time neuron"]:
    inside = (events.index >= start) & (events.index < stop)
    raster = np.zeros((stop - start, n_steps), dtype=bool)  # a neuron's steps lie side by side
    raster[events.index[inside] - start, events.step[inside]] = True
    return raster.T


def _free_run_table(runs: tuple[FreeRun, ...]) -> Table:
    columns = ("object", "neurons", "Brian2", "mirror", "same", "F1 (1 dt)", "first difference")
    return Table(
        "(a) Free run: spikes",
        columns,
        tuple(
            (
                run.object,
                f"{run.n_neurons:,}",
                f"{run.n_reference:,}",
                f"{run.n_mirror:,}",
                f"{run.n_shared:,}",
                _number(run.f1, digits=6),
                "none" if run.identical else f"{run.first_divergence:.4g} s",
            )
            for run in runs
        ),
    )


def _error_table(title: str, variables: tuple[Locked, ...], tolerance: float) -> Table:
    return Table(
        f"{title}, allowed {tolerance:.0e}",
        ("variable", "error", "at", "within"),
        tuple(
            (
                v.variable,
                f"{v.error:.1e}",
                "–" if v.time is None else f"{v.time:.4g} s",
                _yes(v.within),
            )
            for v in variables
        ),
    )


def _statistics_table(agreements: tuple[Agreement, ...]) -> Table:
    columns = ("object", "statistic", "n", "Brian2", "mirror", "difference", "allowed", "agrees")
    return Table(
        "(c) Statistics: means over neurons, allowed max(5 %, 2 SEM)",
        columns,
        tuple(
            (
                a.object,
                a.statistic if a.unit == "1" else f"{a.statistic} [{a.unit}]",
                f"{a.n_neurons:,}",
                _number(a.reference),
                _number(a.mirror),
                _number(a.mirror - a.reference),
                _number(a.allowed),
                _yes(a.agrees),
            )
            for a in agreements
        ),
    )


def _off(variable: Locked) -> str:
    at = "" if variable.time is None else f" at {variable.time:.4g} s"
    return f"one step of '{variable.variable}' is off by {variable.error:.1e}{at}"


def _strayed(path: Locked) -> str:
    at = "" if path.time is None else f" at {path.time:.4g} s"
    return f"'{path.variable}' is off by {path.error:.1e}{at} of the free run"


def _number(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else "–"


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "NO", None: "–"}[value]


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
