"""GeNN and the stepper: the network is made in this process, read, checked, and run elsewhere.

Brian2 makes all objects and draws all connections, on its runtime device. Nothing is run by it:
the values at the end are put into its arrays, so that the network looks as after a run.
"""

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Synapses

from mirrorneuron.bridge.genn.emit import emit
from mirrorneuron.bridge.genn.run import Plan, Ran, run
from mirrorneuron.bridge.genn.subset import findings
from mirrorneuron.bridge.program import Program
from mirrorneuron.bridge.read import read
from mirrorneuron.errors import BuildError, Outside, OutsideGeNN, Unsupported

from ..recording import Spikes
from ._contracts import Array, Job, Outcome
from ._monitor import Monitors, gigabytes, watching
from ._scope import (
    built,
    interruptible,
    names_for,
    on_device,
    preferring,
    runtime_device,
    seeded,
)

COPIES = 3  # in Brian2, as they are read, and in the rows of GeNN
PATHWAY = 16  # source and delay of a synapse as they are read [byte]


def run_through(
    job: Job,
    load: Callable[[], Any],
    name: str,
    place: Path,
    precision: str = "double",
    backend: str | None = None,
    log: Path | None = None,
    blamed: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Outcome:
    """Run a job with PyGeNN, or with what has its interface.

    Arguments:
        job: What to run.
        load: Imports the library; called before anything else is done.
        name: How the result calls the backend.
        place: Directory of the build.
        precision: Of the model.
        backend: PyGeNN's name of the hardware.
        log: File for what the build prints.
        blamed: Around what the library does, for its errors.

    Raises:
        OutsideGeNN: Lists everything that lies outside of what GeNN can do.
        BuildError: Memory is too small, or the build fails.
    """
    library, start = load(), time.perf_counter()
    with ExitStack() as scope:
        scope.enter_context(on_device(runtime_device()))
        scope.enter_context(interruptible())
        scope.enter_context(preferring(codegen__target="numpy"))
        scope.enter_context(seeded(job.seed))
        network = built(job)
        with watching(network, job) as plan:
            ours = {monitor.name for monitor in (*plan.spikes.values(), *plan.states.values())}
            _require_memory(job, network)
            program, outside = checked(network, names_for(network, job), "genn", ours, job.asked)
            outside += _unrecorded(job, program)
            if outside:
                raise OutsideGeNN(job.asked, outside)
            steps = round(job.duration / program.dt)
            model = emit(program, steps, list(plan.rows), _random(job))
            wanted = {k: v for k, v in plan.rows.items() if not _is_fixed(program, k)}
            clock = time.perf_counter
            ready = [clock()]
            job.progress.say(f"building {name}")
            with blamed(), job.progress.running(job.duration) as advance, ExitStack() as building:
                building.enter_context(_printed_into(log))

                def begin() -> None:
                    building.close()
                    ready.append(clock())

                ran = run(
                    library,
                    model,
                    Plan(
                        steps=steps,
                        every=round(plan.interval / program.dt),
                        rows=wanted,
                        spikes=list(plan.spikes),
                        precision=precision,
                        backend=backend,
                        seed=_own_seed(job),
                    ),
                    place,
                    begin,
                    advance,
                )
            seconds = {"build": ready[-1] - start, "run": clock() - ready[-1]}
            _write(network, ran)
            return _outcome(job, network, plan, program, ran, name, seconds)


@contextmanager
def _printed_into(log: Path | None) -> Generator[None]:
    """Send what other programs print, through us, into a file."""
    if log is None:
        yield
        return
    sys.stdout.flush()
    shown = os.dup(1)
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(shown, 1)
            os.close(shown)


def checked(
    network: Any,
    namespace: Any,
    route: str,
    ours: frozenset[str] | set[str] = frozenset(),
    asked: str = "genn_findings(network)",
) -> tuple[Program, tuple[Outside, ...]]:
    """The Program of a network, and everything in it that a route to GeNN cannot run.

    Arguments:
        network: What to read.
        namespace: Names for equations whose group has no namespace.
        route: "genn" or "brian2genn".
        ours: Names of monitors that are not counted.
        asked: What was called, for messages.
    """
    program, unread = read(network, namespace, strict=False, asked=asked)
    found = tuple(item for item in findings(program, route) if item.object not in ours)
    return program, (*map(_unread, unread), *found)


def _unread(item: Unsupported) -> Outside:
    """What no Program holds, in the words of this list."""
    instead = item.remedy.replace("run(inputs={'cells.I': ...})", "a TimedArray")
    if item.kind == "NetworkOperation":
        instead = "Write it as run_regularly('...'), or write backend='runtime'."
    return Outside(
        item.object, item.kind, item.feature, "genn, brian2genn",
        "It is no code of Brian2's that could be translated.", instead,
    )  # fmt: skip


def _unrecorded(job: Job, program: Program) -> tuple[Outside, ...]:
    """Recordings that GeNN's arrays cannot give."""
    wanted = [key for key in job.record if key in program.values]
    synaptic = [k for k in wanted if program.groups[k.split(".", 1)[0]].kind == "Synapses"]
    sources = ("PoissonGroup", "SpikeGeneratorGroup")
    made = [k for k in wanted if program.groups[k.split(".", 1)[0]].kind in sources]
    return tuple(
        Outside(
            key.split(".", 1)[0], program.groups[key.split(".", 1)[0]].kind, f"record=[{key!r}]",
            "genn, brian2genn", "A subexpression is computed by neurons alone.",
            "Record the variables that it consists of.",
        )
        for key in (*synaptic, *made)
    )  # fmt: skip


def _require_memory(job: Job, network: Any) -> None:
    """Refuse what does not fit before any array is made: a lower bound.

    Each synapse costs its variables as Brian2 holds them, as they are read, and as GeNN holds them
    in rows that are padded to the longest.
    """
    needed = 0
    for obj in network.sorted_objects:
        if isinstance(obj, Synapses):
            own = (v for v in obj.variables.values() if _belongs(v, obj))
            each = sum(np.dtype(v.dtype).itemsize for v in own if not v.scalar)
            paths = len(obj._pathways)  # pyright: ignore[reportPrivateUsage]
            needed += len(obj) * (COPIES * each + PATHWAY * paths)
    if needed > job.memory:
        raise BuildError(
            f"{job.asked}: the synapses need at least {gigabytes(needed)} of memory, and"
            f" {gigabytes(job.memory)} are available: their variables in Brian2, as they are read,"
            " and in GeNN's rows. Make fewer synapses, keep constants out of their equations, or"
            " write backend='cpp', which reads nothing."
        )


def _belongs(variable: Any, obj: Any) -> bool:
    owner = getattr(getattr(variable, "owner", None), "name", None)
    return owner == obj.name and not variable.name.startswith("N_")


def _random(job: Job) -> np.random.RandomState:
    """Numbers for spike sources, as Brian2's numpy target would draw them."""
    if job.seed is None:
        return np.random.RandomState()
    state = np.random.RandomState()
    state.set_state(np.random.get_state())  # pyright: ignore[reportArgumentType]
    return state


def _own_seed(job: Job) -> int:
    """Seed of the random numbers that the model itself draws; 0 is a new one for PyGeNN."""
    return 0 if job.seed is None else (job.seed % (2**32 - 1)) + 1


def _is_fixed(program: Program, key: str) -> bool:
    """Whether a recorded variable never changes."""
    return key not in program.values and key not in program.written()


def _write(network: Any, ran: Ran) -> None:
    """Put the final values into Brian2's arrays."""
    for key, value in ran.final.items():
        owner, name = key.split(".", 1)
        variable = network[owner].variables[name]
        variable.set_value(np.asarray(value).astype(variable.dtype))


def _outcome(
    job: Job, network: Any, plan: Monitors, program: Program, ran: Ran, name: str, seconds: Any
) -> Outcome:
    samples = -(-round(job.duration / program.dt) // round(plan.interval / program.dt))
    final = plan.read_final()
    traces = {
        key: ran.samples[key] if key in ran.samples else _constant(final, key, rows, samples)
        for key, rows in plan.rows.items()
    }
    return Outcome(
        backend=name,
        dt=plan.dt,
        t=np.arange(samples) * plan.interval if traces else np.empty(0),
        spikes={
            group: Spikes(ran.step[group], ran.index[group], program.dt, len(monitor.source))
            for group, monitor in plan.spikes.items()
        },
        traces=traces,
        indices=plan.rows,
        final=final,
        units=plan.units(),
        seconds=seconds,
    )


def _constant(final: Any, key: str, rows: Array, samples: int) -> Array:
    """Samples of what never changes."""
    value = np.atleast_1d(final[key]).astype(float)
    return np.tile(value[rows], (samples, 1))
