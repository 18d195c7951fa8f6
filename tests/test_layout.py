"""The house: links, guards, and a wheel that works elsewhere. Who imports whom: scripts/check."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "mirrorneuron"
LINKED = ("analysis", "bio", "bridge", "muscle", "studies")
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
    ["errors", "units", "bridge.program", "bridge.mirror", "bridge.read",
     "bridge.learning.checkpoint", "analysis.plot", "bio.neurons.lif", "muscle.plants.elbow_pair",
     "muscle.curves.thelen", "studies.grasshopper.grasshopper", "validation", "arm", "gym"],
)  # fmt: skip
def test_a_module_can_be_imported_first_and_alone(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import mirrorneuron.{module}"], check=True)


@pytest.mark.parametrize("module", ["errors", "units", "bridge.program"])
def test_a_module_that_names_brian2_can_do_without_it(module: str) -> None:
    code = (
        "import importlib.util, sys; sys.modules['brian2'] = None;"
        "package = type(sys)('mirrorneuron'); package.__path__ = [sys.argv[1]];"
        "sys.modules['mirrorneuron'] = package;"
        "inner = type(sys)('mirrorneuron.bridge'); inner.__path__ = [sys.argv[1] + '/bridge'];"
        "sys.modules['mirrorneuron.bridge'] = inner;"
        "importlib.import_module('mirrorneuron.' + sys.argv[2]);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(PACKAGE), module], check=True)


def test_a_wheel_holds_real_files_and_runs_elsewhere(tmp_path: Path) -> None:
    # From a copy: a build/ that an earlier build left in the root would add deleted modules.
    passed_over = shutil.ignore_patterns(".*", "build", "dist", "out", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, tmp_path / "checkout", symlinks=True, ignore=passed_over)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-q",
         "-w", str(tmp_path)],
        cwd=tmp_path / "checkout", check=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    for name in ("py.typed", "analysis/mirrorneuron.mplstyle", "bio/neurons/adex.py", "cli.py"):
        assert f"mirrorneuron/{name}" in names
    on_disk = {str(path.relative_to(PACKAGE.parent)) for path in modules()}
    assert {name for name in names if name.endswith(".py")} == on_disk
    code = (
        "import sys; sys.path.insert(0, 'site'); import mirrorneuron as mn; print(mn.__file__);"
        "from mirrorneuron.analysis import plot; print(len(mn.bio.neurons), len(mn.surrogates))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import site; site.main(); " + code],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[0] == str(tmp_path / "site" / "mirrorneuron" / "__init__.py")
    assert done.stdout.splitlines()[1].startswith("10 6")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda p: p.name
)
def test_a_decision_has_context_options_outcome_and_consequences(path: Path) -> None:
    text = path.read_text()
    for heading in ("## Context", "## Options", "## Outcome", "## Consequences"):
        assert heading in text
