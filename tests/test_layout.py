"""The house: links, guards, and a wheel that works elsewhere. Who imports whom: scripts/check."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "mirrorneuron"
LINKED = ("analysis", "bio", "bridge", "studies")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("folder", LINKED)
def test_a_folder_is_linked_relatively(folder: str) -> None:
    assert os.readlink(PACKAGE / folder) == f"../../{folder}"


@pytest.mark.parametrize("folder", LINKED)
def test_a_folder_cannot_be_imported_under_its_bare_name(folder: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {folder}"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"mirrorneuron.{folder}" in done.stderr.splitlines()[-1]


def modules() -> list[Path]:
    found = (Path(d) / f for d, _, files in os.walk(PACKAGE, followlinks=True) for f in files)
    return sorted(path for path in found if path.suffix == ".py")


def test_every_package_is_listed() -> None:
    packages = {p.parent.relative_to(PACKAGE.parent) for p in modules() if p.name == "__init__.py"}
    listed = SETTINGS["tool"]["setuptools"]["packages"]
    assert {".".join(p.parts) for p in packages} == set(listed)
    assert {p.parent for p in modules()} == {PACKAGE.parent / p for p in packages}


@pytest.mark.parametrize(
    "module",
    ["errors", "units", "bridge.program", "bridge.mirror", "bridge.read", "bridge.learning.natural",
     "analysis.plot", "bio.neurons.lif", "studies.grasshopper", "validation"],
)  # fmt: skip
def test_a_module_can_be_imported_first_and_alone(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import mirrorneuron.{module}"], check=True)


def test_a_wheel_holds_real_files_and_runs_elsewhere(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-q",
         "-w", str(tmp_path)],
        cwd=ROOT, check=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    for name in ("py.typed", "analysis/mirrorneuron.mplstyle", "bio/neurons/adex.py", "cli.py"):
        assert f"mirrorneuron/{name}" in names
    code = (
        "import sys; sys.path.insert(0, 'site'); import mirrorneuron as mn; print(mn.__file__);"
        "from mirrorneuron.analysis import plot; print(len(mn.bio.neurons), len(mn.surrogates))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import site; site.main(); " + code],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[0] == str(tmp_path / "site" / "mirrorneuron" / "__init__.py")
    assert done.stdout.splitlines()[1].startswith("7 6")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda p: p.name
)
def test_a_decision_has_context_options_outcome_and_consequences(path: Path) -> None:
    text = path.read_text()
    for heading in ("## Context", "## Options", "## Outcome", "## Consequences"):
        assert heading in text
