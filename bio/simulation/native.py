"""Compiled C of our own: a network starts within seconds, and runs at the speed of C.

Brian2 makes all objects on its runtime device; the network is read and compiled as the mirror's
`native` engine compiles it, in double precision. Where it draws random numbers, these are those of
Brian2's numpy target, one after the other. At the end the values are put into Brian2's arrays, so
that the network looks as after a run.
"""

import time
from contextlib import ExitStack
from typing import Any

import numpy as np

from mirrorneuron.bridge.program import Program
from mirrorneuron.bridge.read import read
from mirrorneuron.errors import NotCovered

from ..recording import Spikes
from ._contracts import Backend, Job, Outcome
from ._monitor import Monitors, watching
from ._scope import built, interruptible, names_for, on_device, preferring, runtime_device, seeded


def _run(job: Job) -> Outcome:
    start = time.perf_counter()
    with ExitStack() as scope:
        scope.enter_context(on_device(runtime_device()))
        scope.enter_context(interruptible())
        scope.enter_context(preferring(codegen__target="numpy"))
        scope.enter_context(seeded(job.seed))
        network = built(job)
        with watching(network, job) as plan:
            from mirrorneuron.bridge.backends.native.simulate import Simulator, unsimulated

            program, _ = read(network, names_for(network, job), asked=job.asked)
            missing = list(unsimulated(program))
            if missing:
                raise NotCovered(job.asked, missing, "runtime")
            steps, every = round(job.duration / program.dt), round(plan.interval / program.dt)
            changing = program.written() | set(program.values)
            rows = {key: index for key, index in plan.rows.items() if key in changing}
            stream = np.random.RandomState()
            if job.seed is not None:
                stream.set_state(np.random.get_state())  # pyright: ignore[reportArgumentType]
            simulator = Simulator(program, rows, every, stream)
            ready = time.perf_counter()
            with job.progress.running(job.duration) as advance:
                ran = simulator.run(steps, advance)
            for key, value in ran.final.items():
                _write(network, key, value)
            seconds = {"build": ready - start, "run": time.perf_counter() - ready}
            return _outcome(plan, program, steps, every, ran, seconds)


def _write(network: Any, key: str, value: Any) -> None:
    """Put a final value into Brian2's array."""
    owner, name = key.split(".", 1)
    variable = network[owner].variables[name]
    given = np.asarray(value).astype(variable.dtype)
    variable.set_value(given.reshape(()) if variable.scalar else given)


def _outcome(
    plan: Monitors, program: Program, steps: int, every: int, ran: Any, seconds: dict[str, float]
) -> Outcome:
    count = -(-steps // every)
    sources = {
        group: (program.every(f"{group}.spike"), len(monitor.source))
        for group, monitor in plan.spikes.items()
    }
    final = plan.read_final()
    traces = {
        key: ran.samples[key] if key in ran.samples
        else np.tile(np.atleast_1d(final[key]).astype(float)[index], (count, 1))
        for key, index in plan.rows.items()
    }  # fmt: skip
    return Outcome(
        backend="native",
        dt=plan.dt,
        t=program.step * program.dt + np.arange(count) * plan.interval if traces else np.empty(0),
        spikes={
            group: Spikes(ran.step[group] // pace, ran.index[group], program.dt * pace, size)
            for group, (pace, size) in sources.items()
        },
        traces=traces,
        indices=plan.rows,
        final=final,
        units=plan.units(),
        seconds=seconds,
    )


native = Backend(run=_run)
