"""GeNN 5 through PyGeNN, on a CPU or a graphics card: our own translation of Brian2's code.

Source: Knight, Komissarov & Nowotny 2021 (PyGeNN), doi:10.3389/fninf.2021.659005.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mirrorneuron.errors import BuildError, MirrorNeuronError, UnknownName

from ._contracts import Backend, Job, Outcome
from ._genn import run_through

INSTALL = "pip install https://github.com/genn-team/genn/archive/refs/tags/5.4.0.zip"
HARDWARE = {"auto": None, "cpu": "single_threaded_cpu", "cuda": "cuda", "hip": "hip"}
SHOWN = 15
PRECISIONS = ("double", "float")


def _library(asked: str, hardware: str = "auto") -> Any:
    """PyGeNN, with the code for the hardware.

    Raises:
        BuildError: It is not installed, or was built for other hardware.
    """
    try:
        import pygenn  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise BuildError(
            f"{asked}: PyGeNN 5 cannot be imported ({error}). GeNN is in no package registry (the"
            " package that is called genn there is another one), so that it is installed from its"
            f" source. Write: {INSTALL} (it needs a C++17 compiler, libffi and pkg-config, and for"
            " CUDA the toolkit and CUDA_PATH). Write backend='stepper' to run the same model"
            " strings without GeNN, or backend='cpp' for speed on a CPU."
        ) from error
    _require_built_for(asked, hardware, pygenn)
    return pygenn


def _require_built_for(asked: str, hardware: str, pygenn: Any) -> None:
    """Refuse hardware for which this PyGeNN was not built.

    Raises:
        BuildError: Says for which it was.
    """
    built: Any = getattr(getattr(pygenn, "genn_model", None), "backend_modules", None)
    wanted = HARDWARE[hardware]
    if wanted is None or built is None or wanted in built:
        return
    there = ", ".join(repr(n) for n, module in HARDWARE.items() if module in built) or "nothing"
    toolkit = {"cuda": "CUDA_PATH", "hip": "HIP_PATH"}.get(hardware)
    remedy = (
        f"Install it again where {toolkit} names the toolkit: {INSTALL}"
        if toolkit
        else (f"Install it again: {INSTALL}")
    )
    raise BuildError(
        f"{asked}: hardware={hardware!r}, and the PyGeNN that is installed was built for {there}"
        f" alone: it finds the toolkit when it is built. {remedy}. Or write hardware='auto', which"
        " takes the fastest that is there."
    )


def _run(job: Job) -> Outcome:
    hardware = _chosen(job, "hardware", "auto", HARDWARE)
    precision = _chosen(job, "precision", "double", PRECISIONS)
    log = job.directory / "build.log"
    label = f"genn ({hardware}, {precision})"
    return run_through(
        job,
        lambda: _library(job.asked, hardware),
        label,
        job.directory / "genn",
        precision,
        HARDWARE[hardware],
        log,
        lambda: _blamed(job, log),
    )


@contextmanager
def _blamed(job: Job, log: Path) -> Generator[None]:
    """Tell what fails while PyGeNN builds and runs the model, and nothing else, with its log."""
    try:
        yield
    except (MirrorNeuronError, MemoryError):
        raise
    except Exception as error:
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        told = "\n".join(f"    {line:.200}" for line in lines[-SHOWN:]) or "    (nothing)"
        raise BuildError(
            f"{job.asked}: PyGeNN failed ({type(error).__name__}: {error}). The last lines of its"
            f" build:\n\n{told}\n\nThe same model strings"
            " run with backend='stepper'. Write directory='...' to keep the code that GeNN made,"
            " and check compiler and graphics card with: mirrorneuron doctor."
        ) from error


def _chosen(job: Job, name: str, default: str, known: Any) -> str:
    value = job.options.get(name, default)
    if value not in known:
        raise UnknownName.among(f"{job.asked}: {name}={value!r}", str(value), known)
    return str(value)


genn = Backend(run=_run, options=frozenset({"hardware", "precision"}))
