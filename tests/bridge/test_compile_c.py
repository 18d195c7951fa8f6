"""Compiling: once for each text, nothing half-made is left, and words where it cannot be done."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from brian2 import Network, NeuronGroup, ms

import mirrorneuron as mn
from mirrorneuron.bridge import compile_c
from mirrorneuron.bridge.compile_c import kept_in, library
from mirrorneuron.errors import BuildError

TEXT = "int answer(void) { return 42; }\n"
FLAGS = ("-O1", "-fPIC", "-shared", "-lm")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compile_c, "LOADED", {})
    return tmp_path / "cache"


def made(text: str = TEXT) -> int:
    return library(text, FLAGS, "tried", "write something else").answer()


def kept() -> list[str]:
    return sorted(path.name for path in kept_in("tried").glob("*"))


def test_a_library_is_compiled_once_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert made() == 42
    assert [name[-3:] for name in kept()] == [".so"]
    monkeypatch.setattr(compile_c, "LOADED", {})
    monkeypatch.setattr(compile_c, "_compile", lambda *_: pytest.fail("compiled again"))
    assert made() == 42


def test_a_damaged_library_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made()
    (path,) = kept_in("tried").glob("*.so")
    path.unlink()
    path.write_bytes(b"no library")
    monkeypatch.setattr(compile_c, "LOADED", {})
    assert made() == 42


def test_a_cache_that_cannot_be_written_is_no_obstacle(own_cache: Path) -> None:
    own_cache.write_text("a file where the folder would be")
    assert made() == 42


def test_a_compiler_that_is_killed_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "killed-cc"
    fake.write_text("#!/bin/sh\nkill -9 $$\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(fake))
    with pytest.raises(BuildError, match=r"was ended by signal 9(.|\n)*write something else"):
        made()
    assert kept() == []


def test_code_that_does_not_compile_is_shown() -> None:
    with pytest.raises(BuildError, match=r"ended with exit status 1(.|\n)*answer"):
        made("int answer(void) { return }\n")


def test_two_processes_may_compile_the_same(own_cache: Path) -> None:
    code = (
        "from mirrorneuron.bridge.compile_c import library;"
        f"print(library({TEXT!r}, {FLAGS!r}, 'tried', '').answer())"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(own_cache)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in started] == ["42", "42"]
    assert len(kept()) == 1


def test_without_a_compiler_torch_runs_a_stretch_of_time_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    cells = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", name="cells")
    cells.v = 2
    model = mn.mirror(Network(cells), dtype=torch.float32)
    assert model.backend == "sequence"
    assert "There is no C compiler" in str(model.report)
    assert model.run(1 * ms).spikes["cells"].sum() > 0
    with pytest.raises(BuildError, match=r"'no-such-compiler' cannot be found(.|\n)*else"):
        made()
