"""check: what it says of scripts by others, and what it leaves alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from brian2 import prefs, second
from brian2.devices.device import get_device, runtime_device

from mirrorneuron.check import Finding, check_script
from mirrorneuron.errors import UnitError
from mirrorneuron.script import run_until

CELLS = """
from brian2 import *

cells = NeuronGroup(5, 'dv/dt = (1.2 + 0.1*i - v)/(10*ms) : 1', threshold='v > 1', reset='v = 0',
                    method='exact')
monitor = SpikeMonitor(cells)
"""
EXPLICIT = """
from brian2 import *

def simulate(n):
    tau = 10*ms
    cells = NeuronGroup(n, 'dv/dt = (1.3 - v)/tau : 1', threshold='v > 1', reset='v = 0',
                        method='euler', name='cells')
    network = Network(cells)
    network.run(50*ms)
    raise AssertionError('the script should have ended')

if __name__ == '__main__':
    simulate(3)
"""


def check(folder: Path, text: str, **options: object) -> Finding:
    """Check a script with this text."""
    script = folder / "script.py"
    script.write_text(dedent(text))
    return check_script(script, **options)  # type: ignore[arg-type]


FAITHFUL = {
    "magic": CELLS + "run(80*ms)\nplot(monitor.t/ms, monitor.i, '.')\nshow()",
    "explicit": EXPLICIT,
    "standalone": "from brian2 import *\nset_device('cpp_standalone', directory='built')"
    + CELLS + "run(50*ms)\ndevice.build()",
    "other target": CELLS + "prefs.codegen.target = 'cython'\nrun(50*ms)",
    "catches everything": CELLS + "try:\n    run(50*ms)\nexcept:\n    pass\nrun(50*ms)",
    "set-up run": CELLS + "run(0*ms)\nrun(50*ms)",
    "pool": EXPLICIT.replace("simulate(3)", "import multiprocessing\n"
    "    with multiprocessing.Pool(2) as pool:\n        pool.map(simulate, [3, 4])"),
    "process": EXPLICIT.replace("simulate(3)", "from multiprocessing import Process\n"
    "    Process(target=simulate, args=(3,)).start()"),
    "single precision": "from brian2 import *\nprefs.core.default_float_dtype = float32\n" + CELLS
    + "run(50*ms)",
    "lonely monitor": CELLS + "del cells\nother = PoissonGroup(3, 400*Hz)\nrun(50*ms)",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # brian2 in single precision
@pytest.mark.parametrize("name", FAITHFUL)
def test_a_script_whose_network_is_mirrored_is_faithful(name: str, tmp_path: Path) -> None:
    before = dict(prefs.prefs)
    finding = check(tmp_path, FAITHFUL[name])
    assert finding.status == "faithful", finding.reason
    assert finding.exit_code == 0
    assert finding.identical
    assert finding.spikes > 5
    assert finding.first_divergence is None
    assert finding.locked_step_error is not None
    assert finding.locked_step_error < (1e-5 if name == "single precision" else 1e-15)
    assert "FAITHFUL" in str(finding)
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]
    assert dict(prefs.prefs) == before
    assert get_device() is runtime_device


def test_everything_that_cannot_be_mirrored_is_listed(tmp_path: Path) -> None:
    text = CELLS + (
        "stiff = NeuronGroup(1, 'dx/dt = -x/ms : 1', method='gsl_rk4', name='stiff')\n"
        "rod = SpatialNeuron(Cylinder(length=1*mm, diameter=1*um, n=3),"
        " 'Im = 0*amp/meter**2 : amp/meter**2', name='rod')\nrun(50*ms)"
    )
    finding = check(tmp_path, text)
    assert (finding.status, finding.exit_code) == ("refused", 1)
    assert {item.object for item in finding.unsupported} == {"stiff", "rod"}
    content = json.loads(finding.to_json())
    assert content["spikes"] == 0 and content["identical"] is False
    assert {"object", "feature", "reason"} <= set(content["unsupported"][0])
    assert "a cable with compartments" in str(finding)


def test_a_value_that_no_simulation_can_have_is_a_reason_to_refuse(tmp_path: Path) -> None:
    text = """
    from brian2 import *
    cells = NeuronGroup(1, 'dv/dt = -v/tau : 1\\ntau : second', method='euler', name='cells')
    run(20*ms)
    """
    finding = check(tmp_path, text)
    assert (finding.status, finding.exit_code) == ("refused", 1)
    assert "cells.tau is 0 ms" in finding.unsupported[0].reason


def test_a_script_gets_its_arguments(tmp_path: Path) -> None:
    text = "import sys\nfrom brian2 import *\nn = int(sys.argv[1])\n" + CELLS.replace("(5", "(n")
    finding = check(tmp_path, text + "run(30*ms)", arguments=["7"])
    assert finding.status == "faithful", finding.reason
    assert finding.report is not None
    assert next(row[2] for row in finding.report.rows()) == "7"


FAILED = {
    "error": ("x = 1\nraise ValueError('no data')", "line 2 of .*raised ValueError: no data"),
    "syntax": ("x = = 1", "SyntaxError"),
    "no run": (CELLS, "called run\\(\\) never"),
    "exit": ("import sys\nsys.exit(3)", "exit code 3"),
    "input": ("input('how many? ')", "EOFError"),
    "unknown name": (CELLS.replace("v > 1", "v > theta") + "run(5*ms)", "(?s)Brian2 cannot.*theta"),
    "removes a file": ("import os\nos.remove('data.txt')", "PermissionError.*may not change"),
    "renames a file": ("import os\nos.rename('data.txt', 'b')", "PermissionError.*may not change"),
    "lower level": ("import os\nos.open('new', os.O_CREAT | os.O_WRONLY)", "may not change"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILED)
def test_a_script_that_fails_by_itself_is_told_why(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").write_text("precious")
    text, message = FAILED[name]
    finding = check(tmp_path, text)
    assert (finding.status, finding.exit_code) == ("script_failed", 2)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(finding.reason)
    assert (tmp_path / "data.txt").read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir()} == {"script.py", "data.txt"}


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "nowhere.py is not a file" in check_script(tmp_path / "nowhere.py").reason


def test_what_a_script_writes_is_kept_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").write_text("1 2 3")
    text = """
    import os, tempfile
    from pathlib import Path
    import matplotlib.pyplot as plt
    import numpy as np
    rates = np.loadtxt('data.txt')
    with open('data.txt', 'a') as file:
        file.write(' 4')
    assert len(np.loadtxt('data.txt')) == 4
    os.makedirs('results/new')
    Path('results/new/table.csv').write_text('a,b')
    assert Path('results/new/table.csv').read_text() == 'a,b'
    np.save('array.npy', rates)
    plt.plot(rates)
    plt.savefig('figure.png')
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, 'x').write_text('x')
    """
    finding = check(tmp_path, dedent(text) + CELLS + "run(50*ms)")
    assert finding.status == "faithful", finding.reason
    assert (tmp_path / "data.txt").read_text() == "1 2 3"
    assert {path.name for path in tmp_path.iterdir()} == {"script.py", "data.txt"}


def test_a_function_that_remembers_is_a_reason_to_refuse(tmp_path: Path) -> None:
    text = """
    from brian2 import *
    calls = []
    @check_units(x=1, result=1)
    def remembers(x):
        calls.append(0)
        return x*0 + len(calls)
    cells = NeuronGroup(2, 'dv/dt = (remembers(v) - v)/(10*ms) : 1', threshold='v > 5',
                        reset='v = 0', method='euler')
    run(20*ms)
    """
    finding = check(tmp_path, text)
    assert (finding.status, finding.exit_code) == ("refused", 1)
    assert "a call changed calls" in str(finding)


def test_later_runs_and_other_durations_can_be_asked_for(tmp_path: Path) -> None:
    text = CELLS + "run(30*ms)\ncells.v = 0.5\nrun(20*ms)"
    finding = check(tmp_path, text, number=2, duration=0.04 * second)
    assert (finding.status, finding.duration) == ("faithful", 0.04)
    assert "called run() only 2 times" in check(tmp_path, text, number=3).reason
    with pytest.raises(UnitError, match="duration of check"):
        check(tmp_path, text, duration=3.0)


def test_a_network_that_is_silent_at_first_is_watched_for_longer(tmp_path: Path) -> None:
    text = CELLS.replace("1.2 + 0.1*i", "1.2*int(t > 300*ms)").replace("exact", "euler")
    text += "run(2*second)"
    finding = check(tmp_path, text)
    assert (finding.status, finding.duration) == ("faithful", 1.0)
    assert finding.spikes > 0


def test_the_command_prints_writes_json_and_exits_with_the_status(tmp_path: Path) -> None:
    script, result = tmp_path / "cells.py", tmp_path / "result.json"
    script.write_text(CELLS + "print('from the script')\nrun(1*second)")
    command = "from mirrorneuron.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "check", str(script), "--duration", "40ms",
         "--json", str(result)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "FAITHFUL" in done.stdout
    assert "from the script" not in done.stdout
    content = json.loads(result.read_text())
    assert set(content) >= {
        "status", "unsupported", "spikes", "identical", "first_divergence", "locked_step_error",
        "versions",
    }  # fmt: skip
    assert content["status"] == "faithful"
    assert content["duration"] == 0.04
    assert content["versions"]["brian2"]


def test_an_error_that_the_script_catches_is_not_lost(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(CELLS + "try:\n    run(5*ms)\nexcept:\n    pass\n")

    def look(*_: object) -> None:
        raise ArithmeticError("while it was looked at")

    with pytest.raises(ArithmeticError, match="while it was looked at"):
        run_until(script, look)


def test_steps_limit_how_long_it_takes(tmp_path: Path) -> None:
    finding = check(tmp_path, CELLS + "run(80*ms)", steps=300)
    assert finding.status == "faithful"
    assert finding.duration == pytest.approx(0.03)


def test_objects_that_run_does_not_find_are_noted(tmp_path: Path) -> None:
    text = CELLS + "others = [PoissonGroup(2, 10*Hz, name='lost')]\nrun(50*ms)"
    finding = check(tmp_path, text)
    assert finding.status == "faithful"
    assert "Note: 'others' holds Brian2 objects that are not in the network" in str(finding)
    assert json.loads(finding.to_json())["notes"]


def test_preferences_in_the_folder_are_named_before_they_are_read_or_refused(
    tmp_path: Path,
) -> None:
    marker = tmp_path / "executed"
    (tmp_path / "brian_preferences").write_text(
        f"logging.file_log = bool(open({str(marker)!r}, 'w').close())\n"
    )
    command = [sys.executable, "-c", "import mirrorneuron"]
    named = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "brian_preferences is one that Brian2 evaluates, as Python" in named.stderr
    assert not marker.exists()
    environment = {**os.environ, "MIRRORNEURON_PREFERENCES": "refuse"}
    refused = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
    )
    assert refused.returncode == 1 and "It is refused here. Move it away" in refused.stderr
    (tmp_path / "cells.py").write_text(CELLS + "run(5*ms)")
    asked = subprocess.run(
        [sys.executable, "-c", "from mirrorneuron.cli import main; main()", "check", "cells.py",
         "--no-preferences"], cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 2 and "It is refused here" in asked.stderr
    assert not marker.exists()
