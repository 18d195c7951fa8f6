"""Brian2 in this process: its numpy target, or the same code compiled through Cython."""

import time
from contextlib import ExitStack
from typing import Any, Literal

from brian2 import second
from brian2.devices.device import auto_target

from mirrorneuron._brian2_fault import told
from mirrorneuron.errors import BuildError, UnknownName

from ._contracts import Backend, Job, Outcome
from ._monitor import watching
from ._scope import (
    built,
    compiler,
    exact_arithmetic,
    interruptible,
    names_for,
    on_device,
    preferring,
    runtime_device,
    seeded,
)

TARGETS = ("auto", "cython", "numpy")


def _run(job: Job) -> Outcome:
    start = time.perf_counter()
    with ExitStack() as scope:
        scope.enter_context(on_device(runtime_device()))
        scope.enter_context(interruptible())
        if not job.options.get("fast_math"):
            scope.enter_context(exact_arithmetic())
        target = _target(job)
        scope.enter_context(preferring(codegen__target=target))
        scope.enter_context(seeded(job.seed))
        network = built(job)
        with watching(network, job) as plan, job.progress.running(job.duration) as advance:

            def report(elapsed: Any, completed: float, start: Any, duration: Any) -> None:
                advance(completed)

            if target == "cython":
                job.progress.say(
                    "Cython compiles the code of each object, or takes it from its cache"
                )
            names = names_for(network, job)
            with told(job.asked, names, network, "run"):
                network.run(
                    job.duration * second,
                    report=report if job.progress.shown else None,
                    report_period=0.2 * second,
                    namespace=names,
                )
            looped = runtime_device()._last_run_time
            return Outcome(
                backend=f"runtime ({target})",
                dt=plan.dt,
                t=plan.read_t(),
                spikes=plan.read_spikes(),
                traces=plan.read_traces(),
                indices=plan.rows,
                final=plan.read_final(),
                units=plan.units(),
                seconds={"build": time.perf_counter() - start - looped, "run": looped},
            )


def _target(job: Job) -> Literal["cython", "numpy"]:
    """The code generation target: "auto" takes what works here.

    Raises:
        UnknownName: There is no such target.
        BuildError: Cython was asked for, and there is no compiler.
    """
    asked = job.options.get("target", "auto")
    if asked not in TARGETS:
        raise UnknownName.among(f"{job.asked}: target={asked!r}", asked, TARGETS)
    if asked == "numpy":
        return "numpy"
    if compiler() is not None and auto_target().class_name == "cython":
        return "cython"
    if asked == "auto":
        return "numpy"
    raise BuildError(
        f"{job.asked}: target='cython' needs a C++ compiler and Cython, and a test compilation"
        " failed. Brian2 compiles its code with $CXX, or g++. Install one (apt install g++), or"
        " write target='numpy'."
    )


runtime = Backend(run=_run, options=frozenset({"target", "fast_math"}))
