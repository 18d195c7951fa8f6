"""Brian2's global state, changed for a while: device, clock, preferences, random numbers."""

import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from brian2 import Equations, MagicNetwork, Network, get_device, prefs
from brian2 import seed as brian2_seed
from brian2.codegen.runtime.cython_rt.extension_manager import (
    cython_extension_manager,
    get_cython_cache_dir,
)
from brian2.core.variables import ArrayVariable
from brian2.devices import device_module
from brian2.utils.stringtools import get_identifiers

from mirrorneuron.errors import BuildError, DomainError, TooLarge

from ._contracts import Job

INEXACT = ("-ffast-math", "-fno-finite-math-only", "-Ofast", "-funsafe-math-optimizations")
devices: Any = device_module  # the name `device` there is a proxy
MOST_STEPS = 1e14  # which take a year at 300 ns each
_EXACT_MODULES: dict[Any, Any] = {}


def compiler() -> str | None:
    """Path of the C++ compiler that Brian2 would call."""
    return shutil.which((os.environ.get("CXX") or "g++").split()[0])


@contextmanager
def on_device(device: Any) -> Generator[None]:
    """Let Brian2 use `device`, then go back to the present one.

    `set_device` and `reset_device` would write the time step of one device's clock into the
    project of the other: a project that the user has begun is to stay as it is.
    """
    present, stack = devices.active_device, list(devices.previous_devices)
    dt = present.defaultclock.dt
    try:
        devices.active_device = device
        if device.defaultclock is None:
            device.activate(build_on_run=False)
        clock: Any = device.defaultclock
        before, clock.dt = clock.dt, dt
        try:
            yield
        finally:
            devices.active_device = device
            clock.dt = before
    finally:
        devices.active_device = present
        devices.previous_devices[:] = stack


def runtime_device() -> Any:
    """Brian2's device for runs in this process."""
    return devices.all_devices["runtime"]


@contextmanager
def preferring(**wanted: Any) -> Generator[None]:
    """Set preferences of Brian2 (`codegen__target` is `codegen.target`) for a while."""
    names = {name.replace("__", "."): value for name, value in wanted.items()}
    before = {name: prefs[name] for name in names}
    try:
        for name, value in names.items():
            prefs[name] = value
        yield
    finally:
        for name, value in before.items():
            prefs[name] = value


@contextmanager
def interruptible() -> Generator[None]:
    """Make Ctrl-C an exception: by default Brian2 takes it for the regular end of a run."""
    with preferring(core__stop_on_keyboard_interrupt=False):
        try:
            yield
        finally:
            Network._globally_running = False  # pyright: ignore[reportPrivateUsage]


@contextmanager
def exact_arithmetic() -> Generator[None]:
    """Compile without -ffast-math and contraction: every backend takes the same operations.

    Flags that the user chose (`prefs.codegen.cpp.extra_compile_args`) stay as they are. Brian2
    finds compiled Cython modules by their code alone, so those of this arithmetic live apart.
    """
    flags = [f for f in prefs["codegen.cpp.extra_compile_args_gcc"] if f not in INEXACT]
    manager: Any = cython_extension_manager
    modules = manager._code_cache
    with preferring(
        codegen__cpp__extra_compile_args_gcc=[*flags, "-ffp-contract=off"],
        codegen__runtime__cython__cache_dir=f"{get_cython_cache_dir()}_exact",
    ):
        manager._code_cache = _EXACT_MODULES
        try:
            yield
        finally:
            manager._code_cache = modules


@contextmanager
def seeded(seed: int | None) -> Generator[None]:
    """Seed Brian2 and numpy, and give numpy's stream back afterwards; without a seed, nothing."""
    if seed is None:
        yield
        return
    state, runtime = np.random.get_state(), runtime_device()
    try:
        brian2_seed(seed)
        np.random.seed(seed)
        yield
    finally:
        np.random.set_state(state)
        runtime.rand_buffer_index[:] = runtime.randn_buffer_index[:] = 0  # drawn from ours


def built(job: Job) -> Any:
    """The network that `job.build` makes on the device in use.

    Raises:
        DomainError: It returned something else than a network that can run here.
        BuildError: It changed the device.
    """
    device = get_device()
    network = job.build()
    if get_device() is not device:
        raise BuildError(
            f"{job.asked}: build() called set_device(...). simulate chooses the device and puts"
            " the former one back. Leave that line out of build()."
        )
    if not isinstance(network, Network) or isinstance(network, MagicNetwork):
        raise DomainError(
            f"{job.asked}: build() returned {_described(network)}. It has to make the objects and"
            " return them as one Network. Write return Network(collect()) as its last line, or"
            " return Network(cells, synapses)."
        )
    if not network.objects:
        raise DomainError(
            f"{job.asked}: build() returned a Network without objects. collect() finds those that"
            " a name in the calling function refers to. Write return Network(cells, synapses)."
        )
    for obj in network.sorted_objects:
        if not _lives_on(obj, device):
            raise DomainError(
                f"{job.asked}: build() returned {obj.name!r}, which was made for another device."
                " A compiled network consists of objects that were made for it. Make all objects,"
                " clocks included, inside of build()."
            )
    _require_an_end(job, network)
    return network


def _require_an_end(job: Job, network: Any) -> None:
    """Refuse a run that no computer ends.

    Raises:
        TooLarge: It has more than 1e14 steps.
    """
    steps = (job.duration / float(o.clock.dt_) for o in network.objects if hasattr(o.clock, "dt_"))
    if (most := max(steps, default=0.0)) > MOST_STEPS:
        raise TooLarge(
            f"{job.asked}: {job.duration:g} s are {most:.1e} steps, and a year is too short for"
            f" more than {MOST_STEPS:.0e}. Write a shorter duration, with its unit: 10*second."
        )


def names_for(network: Any, job: Job) -> dict[str, Any]:
    """Names for the equations of a network.

    Of those that only happened to be around `build`, the ones that its objects' own variables have
    are left out where no other object needs them: Brian2 warns of each such pair.
    """
    names = dict(job.namespace)
    if not job.around:
        return names
    own = [_own_names(obj) for obj in network.sorted_objects]
    needed = {
        name
        for obj, variables in zip(network.sorted_objects, own, strict=True)
        for name in _identifiers(obj) - variables
    }
    hidden = set[str]().union(*own) - needed
    return {name: value for name, value in names.items() if name not in hidden}


def _own_names(obj: Any) -> set[str]:
    """Names of the variables that an object, or the group that it is a part of, has."""
    group = getattr(obj, "group", None)
    return {*getattr(obj, "variables", ()), *getattr(group, "variables", ())}


def _identifiers(obj: Any) -> set[str]:
    """Names in all texts of an object: equations, statements, conditions, weights."""
    held = [value for name, value in vars(obj).items() if "creation" not in name]
    return {name for value in held for text in _texts(value) for name in get_identifiers(text)}


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Equations):
        return [str(value)]
    inner: Any = value.values() if isinstance(value, Mapping) else ()
    return [text for item in inner for text in _texts(item)]


def _described(thing: Any) -> str:
    if isinstance(thing, Network):
        return f"the {type(thing).__name__} {thing.name!r}"
    return "None" if thing is None else f"{type(thing).__name__} {thing!r:.60}"


def _lives_on(obj: Any, device: Any) -> bool:
    held = [*getattr(obj, "variables", {}).values(), *obj.clock.variables.values()]
    return all(v.device is device for v in held if isinstance(v, ArrayVariable))


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0))
