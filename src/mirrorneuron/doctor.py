"""Doctor: what is installed here, and what each part of mirrorneuron can use."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = (
    "mirrorneuron", "brian2", "numpy", "torch", "scipy", "cython", "elephant", "nitime",
    "gymnasium",
)  # fmt: skip
PROBE = "import brian2, brian2genn; print(brian2.__version__, brian2genn.__version__)"


@dataclass(frozen=True)
class State:
    """What was found of one thing.

    Arguments:
        name: The thing.
        ok: Whether it can be used.
        found: What it is, or what is missing and what to write.
    """

    name: str
    ok: bool
    found: str


def examine() -> Iterator[State]:
    """Look at everything; compiles one small C++ program."""
    yield State("python", True, f"{sys.version.split()[0]} on {platform.system()}")
    for library in LIBRARIES:
        found = _version(library)
        yield State(library, found is not None, found or "not installed")
    yield _compiler("C++ compiler", os.environ.get("CXX", "g++"), "Brian2 runs on numpy alone")
    yield _c_compiler()
    yield _cython_cache()
    yield _standalone()
    yield from _torch()
    yield _pygenn()
    yield _nvcc()
    yield _brian2genn()
    local = Path("brian_preferences")
    if local.exists():
        yield State(
            "WARNING",
            False,
            f"{local.resolve()} is evaluated whenever brian2 is imported from here",
        )


def as_json(states: list[State]) -> str:
    """All of it for a program."""
    return json.dumps({state.name: asdict(state) for state in states}, indent=2)


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _compiler(name: str, command: str, otherwise: str) -> State:
    path = shutil.which(command.split()[0])
    return State(name, path is not None, path or f"{command} not found: {otherwise}")


def _c_compiler() -> State:
    from .bridge.compile_c import compiler

    command = compiler()
    found = shutil.which(command[0]) if command else None
    missing = "cc not found: mirrors run on the slow engine. Write: apt install gcc"
    return State("C compiler", found is not None, found or missing)


def _cython_cache() -> State:
    from brian2.codegen.runtime.cython_rt.extension_manager import get_cython_cache_dir

    place = Path(get_cython_cache_dir() or "")
    held = [p for p in place.rglob("*") if p.is_file()] if place.is_dir() else []
    size = sum(p.stat().st_size for p in held)
    usable = os.access(_nearest(place), os.W_OK)
    return State("Cython cache", usable, f"{place}: {len(held)} files, {size / 1e6:.0f} MB")


def _nearest(place: Path) -> Path:
    return place if place.exists() else _nearest(place.parent)


def _standalone() -> State:
    """Whether what Brian2's C++ standalone mode needs is here, and makes a program that runs."""
    name, command = "cpp standalone", os.environ.get("CXX", "g++").split()
    absent = [tool for tool in (command[0], "make") if shutil.which(tool) is None]
    if absent:
        return State(name, False, f"{' and '.join(absent)} not found: apt install g++ make")
    with tempfile.TemporaryDirectory(prefix="mirrorneuron-") as folder:
        place = Path(folder)
        text = '#include <iostream>\n#include <random>\nint main() { std::cout << "works"; }\n'
        (place / "main.cpp").write_text(text)
        (place / "Makefile").write_text(f"main: main.cpp\n\t{' '.join(command)} -o main main.cpp\n")
        made = _output(["make", "-C", folder, "main"], 60)
        said = _output([str(place / "main")], 10) if made is not None else None
    works = said == "works"
    return State(name, works, "works" if works else "the compiler makes no program that runs")


def _torch() -> Iterator[State]:
    import torch

    yield State("torch threads", True, str(torch.get_num_threads()))
    cuda = torch.cuda.is_available()
    names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    missing = "not available: mirrors run on the CPU"
    yield State("CUDA", cuda, ", ".join(names) if cuda else missing)


def _pygenn() -> State:
    from .bio.simulation.genn import INSTALL

    if find_spec("pygenn") is None:
        return State("GeNN", False, f"not installed: backend='genn' does not run. Write: {INSTALL}")
    code = "import pygenn; print(pygenn.__version__)"
    said = _output([sys.executable, "-c", code], 60)
    return State(
        "GeNN", said is not None, f"pygenn {said}" if said else "pygenn cannot be imported"
    )


def _nvcc() -> State:
    path = shutil.which("nvcc")
    devices = _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], 20)
    if devices:
        return State("GPU for GeNN", path is not None, f"{devices} (nvcc: {path or 'not found'})")
    return State("GPU for GeNN", False, f"no graphics card answers (nvcc: {path or 'not found'})")


def _brian2genn() -> State:
    from .bio.simulation.brian2genn import PYTHON

    name, python = "brian2genn", os.environ.get(PYTHON, "")
    if not python:
        return State(name, False, f"${PYTHON} is not set. Write: scripts/brian2genn")
    said = _output([python, "-I", "-W", "ignore", "-c", PROBE], 120)
    if said is None:
        return State(name, False, f"{python} cannot import brian2genn. Write: scripts/brian2genn")
    genn = os.environ.get("GENN_PATH")
    needs = f"GENN_PATH={genn}" if genn else "GENN_PATH is not set: it translates, compile=False"
    return State(name, True, f"brian2 and brian2genn {said} ({needs})")


def _output(command: list[str], seconds: float) -> str | None:
    """What a program prints, if it ends well."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
