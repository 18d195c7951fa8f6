"""The stepper: a small C program that executes the model strings for GeNN, without GeNN.

It is a tier of correctness: it shows that the strings mean what Brian2 means.
"""

from typing import Any

from ._contracts import Backend, Job, Outcome
from ._genn import run_through


def _load() -> Any:
    import mirrorneuron.bridge.genn.stepper as library

    return library


def _run(job: Job) -> Outcome:
    return run_through(job, _load, "stepper", job.directory / "stepper")


stepper = Backend(run=_run)
