"""Brian2's C++ standalone mode: the whole run is one program, compiled and started here.

Brian2 keeps the state of its device in one object of the process. Here each simulation has a
device of its own, active while `build()` runs and its results are read: a standalone project that
the user has begun is not touched, and objects of earlier runs keep their values. Brian2 writes the
code; compiler and program are started here, so that they can be watched and stopped.
"""

import gc
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from brian2 import NetworkOperation, prefs, second
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice
from brian2.groups.group import Group

from mirrorneuron._brian2_fault import told
from mirrorneuron.errors import BuildError, DomainError

from ._contracts import Backend, Job, Outcome
from ._monitor import Monitors, gigabytes, watching
from ._scope import (
    built,
    compiler,
    cores,
    exact_arithmetic,
    interruptible,
    names_for,
    on_device,
    preferring,
    seeded,
)

MARK = "mirrorneuron at "
REPORT = f'std::cout << "{MARK}" << completed << std::endl;'
SHOWN = 15
PRELUDE = """\
#include "objects.h"
#include "brianlib/common_math.h"
#include "brianlib/stdint_compat.h"
#include <cmath>
#include <ctime>
#include <iostream>
#include <fstream>
#include <climits>
"""
RULES = """\
# Included by the makefile in the place of a list of what each source includes.
SHARED = $(filter-out code_objects/%,$(H_SRCS))
CODE = $(filter code_objects/%,$(OBJS))
$(OBJS): $(SHARED)
$(CODE): %.o: %.h
$(CODE): prelude.h.gch
$(CODE): CXXFLAGS += -include prelude.h
run.o: $(H_SRCS)
objects.o main.o: OPTIMISATIONS += -O0
prelude.h.gch: prelude.h $(SHARED) makefile
\t$(CXX) $(CXXFLAGS) -x c++-header $< -o $@.new && mv $@.new $@
"""
PATIENCE = 5.0


def _run(job: Job) -> Outcome:
    threads = _threads(job)
    _require_tools(job)
    start, device, project = time.perf_counter(), CPPStandaloneDevice(), job.directory / "cpp"
    with ExitStack() as scope:
        scope.enter_context(on_device(device))
        scope.enter_context(interruptible())
        if not job.options.get("fast_math"):
            scope.enter_context(exact_arithmetic())
        scope.enter_context(preferring(devices__cpp_standalone__openmp_threads=threads))
        scope.enter_context(seeded(job.seed))
        job.progress.say("writing C++ code")
        gc.collect()  # objects of earlier runs hold names: with others, all is compiled anew
        network = built(job)
        _require_no_python(job, network)
        with watching(network, job) as plan:
            _require_disk(job, plan)
            _generate(job, network, device, project)
            results = Path(tempfile.mkdtemp(prefix="results-", dir=project))
            scope.callback(shutil.rmtree, results, ignore_errors=True)
            _compile(job, project)
            ready = time.perf_counter()
            _execute(job, plan, device, project, results)
            finished = time.perf_counter()
            seconds = {"build": ready - start, "run": finished - ready}
            outcome = _read(job, plan, f"cpp ({threads} threads)" if threads else "cpp", seconds)
            _warn_of_invalid_values(network)
            return outcome


def _threads(job: Job) -> int:
    threads = job.options.get("threads", 0)
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 0:
        raise DomainError(
            f"{job.asked}: threads={threads!r} is no number of threads. Write threads=2 for two"
            " OpenMP threads, or threads=0 (the default) for code without OpenMP."
        )
    return threads


def _require_tools(job: Job) -> None:
    make = _make()[0]
    wanted = os.environ.get("CXX") or "g++"
    absent = [wanted] * (compiler() is None) + [make] * (shutil.which(make) is None)
    if absent:
        raise BuildError(
            f"{job.asked}: {' and '.join(absent)} cannot be found on the PATH. The network becomes"
            " a C++ program, which has to be compiled. Install them (apt install g++ make), set"
            " CXX to the compiler that you have, or write backend='runtime', target='numpy'."
        )


def _require_no_python(job: Job, network: Any) -> None:
    for obj in network.objects:
        if isinstance(obj, NetworkOperation):
            called = getattr(obj.function, "__name__", "a function")
            raise DomainError(
                f"{job.asked}: {obj.name!r} calls the Python function {called}() at each step, and"
                " a compiled program runs no Python. Write it as run_regularly('...') of a group,"
                " give what it sets as a TimedArray, or write backend='runtime'."
            )


def _require_disk(job: Job, plan: Monitors) -> None:
    free = shutil.disk_usage(job.directory).free
    if plan.size > free:
        raise BuildError(
            f"{job.asked}: the program writes at least {gigabytes(plan.size)} of recordings and"
            f" variables to {job.directory}, where {gigabytes(free)} are free. Name a directory"
            " on a larger disk, directory='...', or record less."
        )


def _read(job: Job, plan: Monitors, backend: str, seconds: Mapping[str, float]) -> Outcome:
    try:
        return Outcome(
            backend=backend,
            dt=plan.dt,
            t=plan.read_t(),
            spikes=plan.read_spikes(),
            traces=plan.read_traces(),
            indices=plan.rows,
            final=plan.read_final(),
            units=plan.units(),
            seconds=seconds,
        )
    except (OSError, ValueError, IndexError) as error:
        raise BuildError(
            f"{job.asked}: the program ran, but what it wrote to {job.directory} cannot be read"
            f" ({error}). The disk may be full. Name a directory on a larger disk,"
            " directory='...', or record less."
        ) from error


def _generate(job: Job, network: Any, device: Any, project: Path) -> None:
    """Write the C++ project."""
    names = names_for(network, job)
    with told(job.asked, names, network):
        network.run(
            job.duration * second,
            report=REPORT if job.progress.shown else None,
            report_period=0.2 * second,
            namespace=names,
        )
        device.build(directory=str(project), compile=False, run=False)


def _make() -> list[str]:
    command: Any = prefs["devices.cpp_standalone.make_cmd_unix"]
    return shlex.split(command)


def _compile(job: Job, project: Path) -> None:
    """Compile with Brian2's makefile and flags, in half the time that they take alone.

    All of a network's code, some hundred small files, includes the same headers, which are compiled
    once. The functions that allocate, read and write every array are long, and run once: they are
    not optimised. Brian2's makefile includes our rules where it would include a list of what each
    file includes, which it makes by reading all of them one after the other.
    """
    job.progress.say("compiling")
    log = job.directory / "build.log"
    for name, content in (("prelude.h", PRELUDE), ("quick.mk", RULES)):
        path = project / name
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
    try:
        ended = _watch([*_make(), f"-j{cores()}", "DEPS=quick.mk"], project, log, {})
    except BaseException:
        _forget_objects(project)
        raise
    if ended:
        _forget_objects(project)
        raise _failed(job, f"the C++ code could not be compiled: make {_how(ended)}", log)


def _forget_objects(project: Path) -> None:
    """Remove what a stopped compiler may have left half-written, so that make does not trust it."""
    for path in (*project.rglob("*.o"), project / "main"):
        path.unlink(missing_ok=True)


def _execute(job: Job, plan: Monitors, device: Any, project: Path, results: Path) -> None:
    """Run the program; afterwards the device answers with the values that it left."""
    command = prefs["devices.cpp_standalone.run_cmd_unix"]
    command = [command] if isinstance(command, str) else list(command)
    device.results_dir = os.path.join(results, "")
    environment = {
        **prefs["devices.cpp_standalone.run_environment_variables"],
        **device.run_environment_variables,
    }
    log = job.directory / "run.log"
    with job.progress.running(job.duration) as advance:

        def heard(line: str) -> None:
            if line.startswith(MARK):
                advance(float(line.removeprefix(MARK)))

        arguments = [*command, "--results_dir", device.results_dir]
        ended = _watch(arguments, project, log, environment, heard)
    if ended:
        raise _failed(job, f"the compiled program {_how(ended)}", log)
    device.has_been_run = True


def _watch(
    command: list[str],
    directory: Path,
    log: Path,
    environment: Mapping[str, str],
    heard: Callable[[str], None] = lambda line: None,
) -> int:
    """Run a command with its output in `log`; it ends when this function does."""
    with (
        log.open("w") as file,
        subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches us alone, and we stop the compilers too
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                heard(line)
                if not line.startswith(MARK):
                    file.write(line)
            return process.wait()
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[str]") -> None:
    """End a process with all that it started, first politely."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=PATIENCE)  # until nobody holds the other end any more


def _how(code: int) -> str:
    if code > 0:
        return f"ended with exit status {code}"
    name = signal.Signals(-code).name
    hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


def _failed(job: Job, what: str, log: Path) -> BuildError:
    lines = log.read_text(errors="replace").splitlines()
    told = "\n".join(f"    {line:.200}" for line in lines[-SHOWN:]) or "    (nothing)"
    if not job.kept:
        handle, name = tempfile.mkstemp(prefix="mirrorneuron-", suffix=f"-{log.name}")
        os.close(handle)
        log = Path(shutil.copyfile(log, name))
    return BuildError(
        f"{job.asked}: {what}. Its last lines:\n\n{told}\n\nThe whole log is {log}. If compilers"
        " were killed, free some memory. Write backend='runtime' to run without a build, and"
        " directory='...' to keep the C++ code."
    )


def _warn_of_invalid_values(network: Any) -> None:
    """Let Brian2 warn of NaN, as it does after its own runs."""
    for obj in network.objects:
        if isinstance(obj, Group):
            obj._check_for_invalid_states()  # pyright: ignore[reportPrivateUsage]


cpp = Backend(run=_run, options=frozenset({"threads", "fast_math"}))
