"""Simulate: run the network that a function builds, on the backend that one chooses."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Unpack, cast

import numpy as np

from mirrorneuron._arguments import checked
from mirrorneuron._callers import callers_names
from mirrorneuron._memory import available_memory
from mirrorneuron.errors import DomainError, UnknownName
from mirrorneuron.units import Dimensions, si

from .recording import Simulation
from .simulation import backends
from .simulation._contracts import Backend, Job, Options, Progress
from .simulation._directory import directory_for

RESULT = "simulation.npz"
TIME = Dimensions(s=1.0)


@checked
def simulate(
    build: Callable[[], Any],
    duration: Any,
    backend: str = "runtime",
    record: Sequence[str] | Mapping[str, Any] = (),
    *,
    spikes: Sequence[str] | None = None,
    interval: Any = None,
    directory: str | Path | None = None,
    seed: int | None = None,
    namespace: Mapping[str, Any] | None = None,
    report: Literal["auto", "text"] | None = "auto",
    **options: Unpack[Options],
) -> Simulation:
    """Build a Brian2 network and run it.

    The same `build` gives the same spikes on every backend if the network draws no random numbers
    by itself. Where it does (`xi`, `rand()` in equations or initial values, PoissonGroup,
    `connect(p=...)`), each backend has random numbers of its own, and only statistics agree: draw
    with numpy inside of `build`, and connect by `i` and `j`.

    Brian2's device, default clock, preferences and numpy's random numbers are as before when it
    returns or raises, and the network holds no monitor of ours. A process runs one simulation at
    a time; several processes do not disturb each other.

    Arguments:
        build: Makes all objects and returns them as a `Network`. Called once.
        duration: How long to run, a Quantity [s].
        backend: "runtime" (in this process), "native" (compiled C of our own, which starts in
            seconds and draws the random numbers of the runtime's numpy target), "cpp" (Brian2's
            C++ standalone mode), "genn" (GeNN 5 through PyGeNN, on a CPU or a graphics card),
            "stepper" (a small C program that executes the same model strings without GeNN, to
            check them; not for speed) or "brian2genn" (Brian2GeNN with GeNN 4, in an environment
            of its own, with GeNN's order of events).
        record: Variables to record, `["cells.v"]`, or with the indices of the elements,
            `{"cells.v": [0, 1], "syn.w": None}` (None for all). Values are those at the start of
            a step.
        spikes: Groups whose spikes are recorded; by default all.
        interval: Time between two samples, a Quantity [s]; by default one step.
        directory: Where C++ code, logs and the result (`simulation.npz`) are kept: new, empty, or
            of an earlier simulation, whose compiled parts are used again. By default a temporary
            one, which is removed.
        seed: Seed of Brian2's and numpy's random numbers, set before `build` is called.
        namespace: Names for equations whose group has no namespace; by default the global names
            around `build`, and those where `simulate` is called.
        report: "text" shows progress on stderr, "auto" does where that is a terminal.
        options: What only some backends understand.
            `target` (runtime): "auto", "cython" or "numpy"; "auto" is Cython where it works.
            `threads` (cpp): number of OpenMP threads; 0, the default, is code without OpenMP.
            `fast_math` (runtime with Cython, cpp): whether the compiler may reorder arithmetic
            (Brian2's own default). By default it may not, so that only functions like `exp`, which
            come from different libraries, can differ in their last bit.
            `hardware` (genn): "auto", "cpu", "cuda" or "hip"; `precision` (genn): "double" or
            "float". `python` (brian2genn): the Python of its environment, by default
            $BRIAN2GENN_PYTHON; `compile` (brian2genn): False translates only, and runs nothing.

    Returns:
        Spikes, traces and final values.

    Raises:
        UnknownName: A backend, group or variable does not exist.
        UnitError: The duration or interval is no time.
        DomainError: A value is out of range, or `build` does not return a network.
        TooLarge: No computer makes so many steps.
        NotCovered: "native" cannot run the network; lists everything.
        OutsideGeNN: GeNN cannot run the network as Brian2 does; lists everything.
        BuildError: There is no compiler or no GeNN, the build failed or was killed, memory or disk
            are too small, or the directory holds files of yours.
        CheckpointError: The result cannot be written into the directory.

    Example:
        >>> from brian2 import Network, ms, nA
        >>> import mirrorneuron as mn
        >>> def build():
        ...     return Network(mn.bio.neurons["lif"].group(2, name="cells", I=[0.1, 0.15] * nA))
        >>> result = mn.simulate(build, 100 * ms, record=["cells.v"], target="numpy")
        >>> result["cells.v"].shape, result.spikes["cells"].counts
        ((1000, 2), array([0, 3]))
    """
    asked = f"simulate(..., backend={backend!r})"
    chosen = _backend(asked, backend)
    _require_options(asked, chosen, dict(options))
    seconds = _seconds(asked, "duration", duration)
    every = None if interval is None else _seconds(asked, "interval", interval)
    with directory_for(asked, directory) as place:
        outcome = chosen.run(
            Job(
                asked=asked,
                build=_callable(asked, build),
                namespace=_names(build) if namespace is None else namespace,
                around=namespace is None,
                duration=seconds,
                seed=_seed(asked, seed),
                record=_record(asked, record),
                spikes=None if spikes is None else _listed(asked, "spikes", spikes),
                interval=every,
                directory=place,
                kept=directory is not None,
                options=dict(options),
                memory=available_memory(),
                progress=Progress(report == "text" or (report == "auto" and sys.stderr.isatty())),
            )
        )
        result = Simulation(duration=seconds, seed=seed, versions=_versions(), **vars(outcome))
        if directory is not None:
            result.save(place / RESULT)
    return result


def _backend(asked: str, name: str) -> Backend:
    if name not in backends:
        raise UnknownName.among(asked, name, backends)
    return backends[name]


def _require_options(asked: str, chosen: Backend, options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in chosen.options:
            raise UnknownName.among(f"{asked}: the option {name!r}", name, chosen.options)


def _seconds(asked: str, what: str, given: Any) -> float:
    seconds = float(si(given, TIME, f"{asked}: the {what}"))
    if not (np.isfinite(seconds) and seconds > 0):
        raise DomainError(
            f"{asked}: the {what} is {given}. It has to be a positive, finite time. Write 100*ms."
        )
    return seconds


def _callable(asked: str, build: Any) -> Callable[[], Any]:
    if not callable(build):
        raise DomainError(
            f"{asked}: build is {build!r:.60}, which cannot be called. Each backend makes the"
            " objects anew, on its own device. Write a function that makes and returns the"
            " Network, and give the function without parentheses."
        )
    return build


def _seed(asked: str, seed: Any) -> int | None:
    if seed is None or (isinstance(seed, int | np.integer) and 0 <= seed < 2**32):
        return None if seed is None else int(seed)
    raise DomainError(
        f"{asked}: seed={seed!r} is no seed. It is a whole number from 0 to 2**32 - 1."
        " Write seed=1, or leave it out."
    )


def _record(asked: str, record: Any) -> dict[str, Any]:
    if isinstance(record, Mapping):
        return dict(cast(Mapping[str, Any], record))
    return dict.fromkeys(_listed(asked, "record", record))


def _listed(asked: str, what: str, names: Sequence[str]) -> Sequence[str]:
    if isinstance(names, str):
        raise DomainError(
            f"{asked}: {what}={names!r} is one string. It is a list of names."
            f" Write {what}=[{names!r}]."
        )
    return names


def _names(build: Any) -> dict[str, Any]:
    """Names that equations may use: where `simulate` was called, and around `build`."""
    around = inspect.getclosurevars(build).nonlocals if inspect.isfunction(build) else {}
    return {**callers_names(), **getattr(build, "__globals__", {}), **around}


def _versions() -> dict[str, str]:
    names = ("mirrorneuron", "brian2", "numpy")
    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}
