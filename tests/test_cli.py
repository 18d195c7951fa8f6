"""The command line: short messages, no tracebacks, exit codes that scripts can read."""

import json
import subprocess
import sys
from pathlib import Path

import brian2
import pytest
from typer.testing import CliRunner

from mirrorneuron.cli import app


def test_studies_are_listed_with_a_title() -> None:
    result = CliRunner().invoke(app, ["studies"])
    assert result.exit_code == 0
    assert "grasshopper" in result.output
    assert "auditory receptor" in result.output


def test_doctor_names_versions_and_what_is_missing() -> None:
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    for word in ("python", "brian2", "torch", "compiler", "CUDA", "GeNN", "cpp standalone"):
        assert word in result.output


def test_doctor_tells_programs_what_works_and_what_to_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BRIAN2GENN_PYTHON", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    result = CliRunner().invoke(app, ["doctor", "--json"])
    found = json.loads(result.output)
    assert found["python"]["ok"]
    assert found["brian2"]["found"] == brian2.__version__
    for name, remedy in (
        ("C++ compiler", "g++ not found"),
        ("C compiler", "apt install gcc"),
        ("cpp standalone", "g++ and make not found: apt install g++ make"),
        ("brian2genn", "cannot import brian2genn. Write: scripts/brian2genn"),
    ):
        assert not found[name]["ok"]
        assert remedy in found[name]["found"]


def test_an_unknown_study_is_a_message_and_exit_code_2() -> None:
    command = (
        "import sys; sys.argv = ['mirrorneuron', 'run', 'grashopper']; import mirrorneuron.cli as c"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{command}; c.main()"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "studies['grashopper'] is not known. Did you mean 'grasshopper'?" in done.stderr
    assert "Traceback" not in done.stderr


INTERRUPTED = """
import signal, sys
from dataclasses import dataclass
import brian2, mirrorneuron.cli
from mirrorneuron.studies import Result, Study, studies

brian2.prefs.codegen.target = "numpy"

@dataclass(frozen=True)
class Slow(Study):
    title = "ends in the middle of a simulation"
    def quick(self): return self
    def run(self, out, progress=True, resume=False):
        interrupt = brian2.NetworkOperation(lambda: signal.raise_signal(signal.SIGINT))
        brian2.Network(interrupt).run(10 * brian2.ms)
        return Result({})

studies._found = {"slow": Slow}
sys.argv = ["mirrorneuron", "run", "slow", "--out", "out"]
mirrorneuron.cli.main()
"""


def test_ctrl_c_in_a_simulation_ends_the_study_with_130_and_leaves_no_metrics(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "Interrupted. The same command with --resume goes on." in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "metrics.json").exists()


@pytest.mark.parametrize(("option", "said"), [("--help", "check"), ("--version", "mirrorneuron 0")])
def test_help_and_version_answer_without_torch_and_brian2(option: str, said: str) -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['brian2'] = None;"
        "from mirrorneuron.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, option], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
