"""Metrics and results: what a study found, and `metrics.json`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from .file import whole


@dataclass(frozen=True)
class Metric:
    """One number that a study found.

    Arguments:
        value: What came out.
        unit: Its unit, "1" for a pure number.
        target: The number to reach, or None.
        ok: Whether it was reached; None where that is not judged.
    """

    value: float
    unit: str
    target: float | None = None
    ok: bool | None = None

    @staticmethod
    def below(value: Any, unit: str, target: float | None) -> "Metric":
        """A metric that has to be less than its target, if it has one."""
        value = float(value)
        return Metric(value, unit, target, None if target is None else value < target)

    @staticmethod
    def at_least(value: Any, unit: str, target: float | None) -> "Metric":
        """A metric that has to reach its target, if it has one."""
        value = float(value)
        return Metric(value, unit, target, None if target is None else value >= target)

    @staticmethod
    def near(value: Any, unit: str, target: float, distance: float) -> "Metric":
        """A metric that has to lie within a distance of its target."""
        value, target = float(value), float(target)
        return Metric(value, unit, target, bool(abs(value - target) <= distance))

    @staticmethod
    def holds(fact: bool) -> "Metric":
        """A metric that is 1 if a fact holds, as it should, or 0."""
        return Metric(float(fact), "1", 1.0, bool(fact))


@dataclass(frozen=True)
class Result:
    """What a study leaves in its output folder.

    Arguments:
        metrics: By name.
        figures: Pictures, PNG or GIF.
        report: The page that shows everything.
    """

    metrics: Mapping[str, Metric]
    figures: tuple[Path, ...] = ()
    report: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether every target was reached."""
        return all(metric.ok is not False for metric in self.metrics.values())

    def write(self, out: Path) -> Path:
        """Write `metrics.json`, complete or not at all; NaN and infinity become null."""
        metrics = {k: asdict(m) for k, m in self.metrics.items()}
        for held in metrics.values():
            held["value"] = held["value"] if isfinite(held["value"]) else None
        path = out / "metrics.json"
        with whole(path) as file:
            file.write(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
        return path

    def __str__(self) -> str:
        width = max(map(len, self.metrics), default=0)
        lines = [
            f"{name:<{width}}  {m.value:>10.4g} {m.unit:<4}"
            + (
                ""
                if m.target is None
                else f"  target {m.target:.4g}"
                + ("" if m.ok is None else ": hit" if m.ok else ": MISSED")
            )
            for name, m in self.metrics.items()
        ]
        return "\n".join(line.rstrip() for line in lines)
