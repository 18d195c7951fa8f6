"""The command line: short messages, no tracebacks, exit codes that scripts can read."""

import subprocess
import sys
from pathlib import Path

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
    for word in ("python", "brian2", "torch", "compiler", "CUDA", "GeNN"):
        assert word in result.output


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
