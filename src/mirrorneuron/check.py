"""check: does the mirror do what somebody's Brian2 script does? One command to find out."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from .analysis.validate import Validation
from .bridge.collect import left_out
from .bridge.mirror import mirror
from .bridge.report import Report
from .bridge.validate import compare
from .errors import (
    DomainError,
    MirrorNeuronError,
    NetworkError,
    ScriptError,
    Unsupported,
    UnsupportedFeature,
)
from .script import chain, run_until
from .units import Dimensions, quantity, si
from .validation import verdict, versions

Status = Literal["faithful", "unfaithful", "refused", "script_failed"]
TIME = Dimensions(s=1.0)
SHORT, LONG = 0.1, 1.0  # s
EXIT: dict[Status, int] = {"faithful": 0, "unfaithful": 1, "refused": 1, "script_failed": 2}


@dataclass
class Finding:
    """What a check of a script found: print it, or write `to_json()`.

    Attributes:
        script: Path of the script.
        status: "faithful", "unfaithful", "refused" or "script_failed".
        reason: Why the script failed, or what went wrong; empty otherwise.
        notes: What the script may not mean, such as objects that `run()` does not find.
        unsupported: What of the network cannot be mirrored.
        report: What each Brian2 object became.
        validation: The comparison, if there was one.
        duration: Biological time that was compared [s].
        versions: Versions of what the result depends on.
    """

    script: str
    status: Status = "script_failed"
    reason: str = ""
    notes: Sequence[str] = ()
    unsupported: Sequence[Unsupported] = ()
    report: Report | None = None
    validation: Validation | None = None
    duration: float = 0.0
    versions: Mapping[str, str] = field(default_factory=versions)

    @property
    def exit_code(self) -> int:
        """0 faithful, 1 not faithful, 2 the script itself failed."""
        return EXIT[self.status]

    @property
    def spikes(self) -> int:
        """Number of spikes of the network that were compared."""
        runs = self.validation.free_run if self.validation else ()
        return sum(run.n_reference for run in runs)

    @property
    def identical(self) -> bool:
        """Whether every spike of the free run is at the same step and index on both sides."""
        return self.validation is not None and all(r.identical for r in self.validation.free_run)

    @property
    def first_divergence(self) -> float | None:
        """Time after the start of the earliest spike that only one side has [s]."""
        runs = self.validation.free_run if self.validation else ()
        times = [run.first_divergence for run in runs if run.first_divergence is not None]
        return min(times, default=None)

    @property
    def locked_step_error(self) -> float | None:
        """Largest relative error of a variable after one step from Brian2's own state."""
        errors = [v.error for v in self.validation.locked] if self.validation else []
        return max(errors, default=None)

    def to_json(self) -> str:
        """All of it as strict JSON; what is not a finite number is null."""
        error = self.locked_step_error
        content = {
            "script": self.script,
            "status": self.status,
            "reason": self.reason,
            "notes": list(self.notes),
            "unsupported": [asdict(item) for item in self.unsupported],
            "objects": [
                dict(zip(("object", "kind", "size", "became", "gradient"), row, strict=True))
                for row in (self.report.rows() if self.report else ())
            ],
            "duration": self.duration,
            "spikes": self.spikes,
            "identical": self.identical,
            "first_divergence": self.first_divergence,
            "locked_step_error": error if error is not None and math.isfinite(error) else None,
            "verdict": self.validation.verdict if self.validation else None,
            "versions": dict(self.versions),
        }
        return json.dumps(content, indent=2, allow_nan=False)

    def __str__(self) -> str:
        return "\n\n".join(self._parts()) + "\n"

    def _parts(self) -> Iterator[str]:
        yield f"{self.script}: {self.status.replace('_', ' ').upper()}"
        if self.reason:
            yield self.reason
        yield from (f"Note: {note}" for note in self.notes)
        if self.report is not None:
            yield str(self.report)
        if self.unsupported:
            yield "\n\n".join(map(str, self.unsupported))
        if self.validation is not None:
            yield f"Compared over {self.duration * 1e3:g} ms of simulated time."
            yield str(self.validation).rstrip()


def check_script(
    path: Path,
    duration: Any = None,
    number: int = 1,
    seed: int = 0,
    arguments: Sequence[str] = (),
    steps: int | None = None,
    progress: bool = False,
) -> Finding:
    """Run a script up to its first simulation, mirror that network, and compare both.

    Arguments:
        path: A Brian2 script, which is run unmodified; its files are not touched.
        duration: How long to compare, a Quantity [s]. By default as long as the script runs the
            network, at most 100 ms, or at most 1 s where nothing spikes in 100 ms.
        number: Which `run` of the script to mirror, from 1.
        seed: Seed of both sides' random numbers.
        arguments: What the script finds in `sys.argv` after its own name.
        steps: Over how many steps to compare at most.
        progress: Whether to show it.

    Returns:
        What was found. Nothing is raised for a fault of the script or a refused network.

    Raises:
        UnitError: The duration is no time.
    """
    finding = Finding(str(path))
    if duration is not None:
        duration = float(si(duration, TIME, "the duration of check"))

    def look(network: Any, planned: Any, namespace: Mapping[str, Any]) -> None:
        limits = _Limits(float(planned), duration, steps)
        _examine(finding, network, limits, namespace, seed, progress)

    try:
        run_until(path, look, number, arguments)
    except ScriptError as error:
        finding.reason = str(error)
    return finding


def _examine(
    finding: Finding,
    network: Any,
    limits: "_Limits",
    namespace: Mapping[str, Any],
    seed: int,
    progress: bool,
) -> None:
    """Mirror a network and compare, as long as asked for."""
    finding.status = "unfaithful"
    finding.notes = tuple(left_out(network, namespace))
    try:
        _compare(finding, network, limits, namespace, seed, progress)
    except UnsupportedFeature as error:
        finding.status, finding.unsupported = "refused", error.items
    except DomainError as error:
        finding.status, finding.unsupported = "refused", (_outside(network, error),)
    except NetworkError as error:
        finding.status, finding.reason = "script_failed", str(error)
    except MirrorNeuronError as error:
        finding.reason = str(error)
    except Exception as error:
        _whose_fault(finding, error, network, namespace)


def _outside(network: Any, error: DomainError) -> Unsupported:
    """A value with which no simulation makes sense, as a part that cannot be mirrored."""
    return Unsupported(
        object=network.name,
        kind="Network",
        feature="a value outside its domain when run() is called",
        reason=str(error),
        remedy="Set it before run(), or mirror a later one: --run 2.",
    )


def _compare(
    finding: Finding,
    network: Any,
    limits: "_Limits",
    namespace: Mapping[str, Any],
    seed: int,
    progress: bool,
) -> None:
    model = mirror(network, dtype=torch.float64, namespace=namespace)
    finding.report = model.report
    for seconds in limits.durations(model.program.dt):
        duration = quantity(seconds, TIME)
        evidence = compare(network, model, duration, namespace, seed, progress=progress)
        finding.validation, finding.duration = verdict(evidence), seconds
        if finding.spikes or not finding.validation.free_run or not finding.validation.ok:
            break
    finding.status = "faithful" if finding.validation and finding.validation.ok else "unfaithful"


def _whose_fault(
    finding: Finding, error: Exception, network: Any, namespace: Mapping[str, Any]
) -> None:
    """Tell a network that Brian2 cannot run either from a fault of ours."""
    try:
        network.run(max(obj.clock.dt for obj in network.objects), namespace=dict(namespace))
    except Exception as own:
        finding.status = "script_failed"
        finding.reason = f"Brian2 cannot run the network: {chain(own)}"
    else:
        finding.reason = f"A fault of mirrorneuron, please report it: {chain(error)}"
        raise error


@dataclass(frozen=True)
class _Limits:
    """How long to compare.

    Arguments:
        planned: As long as the script runs the network [s].
        wanted: As long as was asked for [s].
        steps: Over so many steps at most.
    """

    planned: float
    wanted: float | None
    steps: int | None

    def durations(self, dt: float) -> Iterator[float]:
        """How long to compare [s], and how long if nothing spikes meanwhile."""
        most = math.inf if self.steps is None else self.steps * dt
        if self.wanted is not None:
            yield min(self.wanted, most)
            return
        first, then = (min(self.planned, length, most) for length in (SHORT, LONG))
        yield first
        if then > first:
            yield then
