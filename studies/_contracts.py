"""What a study is: a paper or a use, settings, and figures that can be checked."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A figure that a study gives.

    Arguments:
        value: What came out.
        unit: Its unit, "1" for a pure number.
        target: The figure to hit, or None.
        ok: Whether it was hit; None where there is no target.
    """

    value: float
    unit: str
    target: float | None = None
    ok: bool | None = None


@dataclass(frozen=True)
class Result:
    """What a study leaves in its folder.

    Arguments:
        metrics: By name.
        figures: Pictures, PNG.
        report: The page that shows everything.
    """

    metrics: Mapping[str, Metric]
    figures: tuple[Path, ...] = ()
    report: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether every target was hit."""
        return all(metric.ok is not False for metric in self.metrics.values())

    def write(self, out: Path) -> Path:
        """Write `metrics.json`, whole or not at all; what is no number becomes null."""
        metrics = {k: asdict(m) for k, m in self.metrics.items()}
        for held in metrics.values():
            held["value"] = held["value"] if isfinite(held["value"]) else None
        content = json.dumps(metrics, indent=2, allow_nan=False)
        path, new = out / "metrics.json", out / "metrics.json.tmp"
        with new.open("w") as file:
            file.write(content + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
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


@dataclass(frozen=True)
class Study(ABC):
    """A study with its settings: fields with defaults, which are the full settings.

    Arguments:
        seed: Seed of all random numbers.
    """

    seed: int = field(default=0, kw_only=True)

    @property
    @abstractmethod
    def title(self) -> str:
        """One line for lists."""

    @abstractmethod
    def quick(self) -> "Study":
        """The same with settings that take a minute."""

    @abstractmethod
    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Run, and write figures and report into `out`.

        Arguments:
            out: Folder of the results, which exists.
            progress: Whether to show progress.
            resume: Whether to go on from what an interrupted run left in `out`.
        """

    def with_(self, **settings: Any) -> "Study":
        """The same study with other settings."""
        return replace(self, **settings)
