"""Compile C: a shared library from text, made once and kept by its content."""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mirrorneuron.errors import BuildError

LOADED: dict[str, ctypes.CDLL] = {}


def compiler() -> list[str]:
    """The C compiler, as a command; empty if there is none."""
    asked = shlex.split(os.environ.get("CC", ""))
    for command in [asked] if asked else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    return []


def kept_in(folder: str) -> Path:
    """Where compiled programs are kept, by their code."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "mirrorneuron" / folder


def library(
    text: str, flags: Sequence[str], folder: str, remedy: str, copy: Path | None = None
) -> ctypes.CDLL:
    """The library of a C program, loaded; what was compiled before is used again.

    It appears in the cache when it is complete and not before, so that a compiler that is stopped
    and two processes that compile the same leave nothing half-made.

    Arguments:
        text: The program.
        flags: Arguments of the compiler; those for the linker (`-l...`) come last.
        folder: Folder in the cache.
        remedy: What to write instead where nothing can be compiled.
        copy: Where to leave the program for people to read.

    Raises:
        BuildError: There is no compiler, or it fails.
    """
    if copy is not None:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)
    command = compiler()
    if not command:
        asked = os.environ.get("CC") or "cc"
        raise BuildError(
            f"The C compiler {asked!r} cannot be found on the PATH, and the network has to be"
            " compiled. Install one (apt install gcc), set CC to the compiler that you have, or"
            f" {remedy}."
        )
    known = [*command, _version(tuple(command)), _processor(), *flags, text]
    name = hashlib.sha256("\n".join(known).encode()).hexdigest()[:32]
    if name in LOADED:
        return LOADED[name]
    kept = kept_in(folder) / f"{name}.so"
    if kept.exists():
        try:
            LOADED[name] = ctypes.CDLL(str(kept))
            return LOADED[name]
        except OSError:  # of another machine, or damaged: made anew
            pass
    with tempfile.TemporaryDirectory(prefix="mirrorneuron-") as place:
        made = _compile(command, flags, text, Path(place), remedy)
        _keep(made, kept)
        LOADED[name] = ctypes.CDLL(str(made))
    return LOADED[name]


def _version(command: tuple[str, ...]) -> str:
    """What tells one compiler from another: its path, size and age."""
    found = Path(os.path.realpath(shutil.which(command[0]) or command[0]))
    try:
        about = found.stat()
    except OSError:
        return str(found)
    return f"{found} {about.st_size} {about.st_mtime_ns}"


@cache
def _processor() -> str:
    """What tells one processor from another: a home may be shared by machines that differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    able = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {platform.processor()} {able}"


def _keep(made: Path, kept: Path) -> None:
    """Copy a library into the cache, if that can be written."""
    new = None
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, new = tempfile.mkstemp(dir=kept.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(made.read_bytes())
        os.replace(new, kept)
    except OSError:  # full or read-only: this process alone uses it
        pass
    finally:
        if new is not None:
            Path(new).unlink(missing_ok=True)


def _compile(
    command: Sequence[str], flags: Sequence[str], text: str, place: Path, remedy: str
) -> Path:
    code, made = place / "network.c", place / "network.so"
    code.write_text(text)
    before = [flag for flag in flags if not flag.startswith("-l")]
    after = [flag for flag in flags if flag.startswith("-l")]
    status, said = _call([*command, *before, "-o", str(made), str(code), *after])
    if status:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
        told = "\n".join(f"    {line:.200}" for line in said.splitlines()[:15])
        raise BuildError(
            f"The C code of the network could not be compiled: {command[0]} {how}. Its first"
            f" lines:\n\n{told or '    (nothing)'}\n\nIf the compiler was killed, free some"
            f" memory. Or {remedy}."
        )
    return made


def _call(arguments: list[str]) -> tuple[int, str]:
    """Exit status and complaints of a program, which ends when this function does."""
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C reaches us alone, and we stop what the compiler started
    )
    try:
        said = process.communicate()[1]
        return process.returncode, said
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
