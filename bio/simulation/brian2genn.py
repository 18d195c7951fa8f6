"""Brian2GeNN 1.7 with GeNN 4, in an environment of their own: Brian2 below 2.6, numpy below 2.

The network is made here, and crosses over as text and arrays; what is run there serves spikes
after resets. For those who have that stack; `backend="genn"` is the route that goes on.

Source: Stimberg, Goodman & Nowotny 2020, doi:10.1038/s41598-019-54957-7.
"""

import json
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from mirrorneuron.errors import BuildError, OutsideGeNN

from ..recording import Spikes
from ._contracts import Array, Backend, Job, Outcome
from ._genn import checked
from ._monitor import watching
from ._portable import noting, portable
from ._scope import (
    built,
    interruptible,
    names_for,
    on_device,
    preferring,
    runtime_device,
    seeded,
)

PYTHON = "BRIAN2GENN_PYTHON"
RUNNER = Path(__file__).with_name("_brian2genn_runner.py")
SHOWN = 15


def _run(job: Job) -> Outcome:
    """Build, run and read; with compile=False only the code is written, and nothing is run."""
    python, compiles = _python(job), bool(job.options.get("compile", True))
    if compiles and not os.environ.get("GENN_PATH"):
        raise BuildError(
            f"{job.asked}: the environment variable GENN_PATH is not set. Brian2GeNN compiles"
            " against the sources of GeNN 4.9.0. Unpack them"
            " (https://github.com/genn-team/genn/archive/refs/tags/4.9.0.zip), set GENN_PATH to"
            " their folder, or write compile=False to translate the network alone."
        )
    start = time.perf_counter()
    with ExitStack() as scope:
        scope.enter_context(on_device(runtime_device()))
        scope.enter_context(interruptible())
        scope.enter_context(preferring(codegen__target="numpy"))
        scope.enter_context(seeded(job.seed))
        with noting() as calls:
            network = built(job)
        with watching(network, job) as plan:
            ours = {monitor.name for monitor in (*plan.spikes.values(), *plan.states.values())}
            program, outside = checked(
                network, names_for(network, job), "brian2genn", ours, job.asked
            )
            if outside:
                raise OutsideGeNN(job.asked, outside)
            text, arrays = portable(job.asked, network, calls, job.namespace)
            text |= {
                "dt": program.dt,
                "duration": job.duration,
                "interval": plan.interval,
                "compile": compiles,
                "spikes": list(plan.spikes),
                "record": list(plan.rows),
            }
            arrays |= {f"rows/{key}": rows for key, rows in plan.rows.items()}
            (job.directory / "job.json").write_text(json.dumps(text))
            np.savez(job.directory / "job.npz", allow_pickle=False, **arrays)
            ready = time.perf_counter()
            job.progress.say("Brian2GeNN translates" + (", compiles and runs" if compiles else ""))
            _call(job, python)
            found = _result(job) if compiles else {}
            for key, value in found.items():
                if key.startswith("final/"):
                    owner, name = key.removeprefix("final/").split(".", 1)
                    variable: Any = network[owner].variables[name]
                    variable.set_value(value.astype(variable.dtype))
            seconds = {"build": ready - start, "run": time.perf_counter() - ready}
            nothing = np.empty(0, dtype=np.int64)
            return Outcome(
                backend="brian2genn" if compiles else "brian2genn (code only)",
                dt=plan.dt,
                t=np.arange(0, round(job.duration / program.dt), round(plan.interval / program.dt))
                * program.dt
                if plan.rows and compiles
                else np.empty(0),
                spikes={
                    name: Spikes(
                        found.get(f"step/{name}", nothing),
                        found.get(f"index/{name}", nothing),
                        program.dt,
                        len(monitor.source),
                    )
                    for name, monitor in plan.spikes.items()
                },
                traces={k: found[f"trace/{k}"] for k in plan.rows if compiles},
                indices=plan.rows,
                final=plan.read_final() if compiles else {},
                units=plan.units(),
                seconds=seconds,
            )


def _python(job: Job) -> str:
    """The Python of the other environment.

    Raises:
        BuildError: There is none.
    """
    python = str(job.options.get("python") or os.environ.get(PYTHON, ""))
    if not python or not Path(python).exists():
        found = f"{python!r} does not exist" if python else f"${PYTHON} is not set"
        raise BuildError(
            f"{job.asked}: the environment of Brian2GeNN is missing: {found}. Brian2GeNN 1.7 needs"
            " Brian2 2.5 and numpy 1, which cannot be installed beside mirrorneuron. Write"
            " scripts/brian2genn FOLDER to make it (Python 3.9 to 3.11), and set"
            f" {PYTHON}=FOLDER/bin/python. Or write backend='genn' or backend='cpp'."
        )
    return python


def _call(job: Job, python: str) -> None:
    """Run the other Python, its output in a file; it ends when this function does."""
    log = job.directory / "brian2genn.log"
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    with log.open("w") as file:
        process = subprocess.Popen(
            [python, "-I", str(RUNNER), str(job.directory)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=job.directory,
            start_new_session=True,
        )
        try:
            ended = process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 15)
                process.wait()
    if ended:
        lines = log.read_text(errors="replace").splitlines()
        told = "\n".join(f"    {line:.200}" for line in lines[-SHOWN:]) or "    (nothing)"
        how = f"ended with exit status {ended}" if ended > 0 else f"was ended by signal {-ended}"
        raise BuildError(
            f"{job.asked}: Brian2GeNN {how}. Its last lines:\n\n{told}\n\nWrite directory='...' to"
            " keep the whole log and the code, or backend='cpp' to run without it."
        )


def _result(job: Job) -> dict[str, Array]:
    with np.load(job.directory / "result.npz", allow_pickle=False) as held:
        return dict(held)


brian2genn = Backend(run=_run, options=frozenset({"python", "compile"}))
