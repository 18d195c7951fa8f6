"""What people see: printed models and recordings, progress in logs, warnings of Brian2."""

import gc
import io
import logging
import sys
from shutil import which

import pytest
import torch
from brian2 import BrianLogger, Network, NeuronGroup, Synapses, ms

import mirrorneuron as mn
from mirrorneuron._progress import progress_bar
from mirrorneuron.bridge.unused_warning import LOGGER


def network() -> Network:
    cells = NeuronGroup(
        3, "dv/dt = (1.2 - v)/tau : 1\ntau : second (constant)", threshold="v > 1", reset="v = 0",
        method="exact", name="cells",
    )  # fmt: skip
    cells.tau = [8, 9, 10] * ms
    feed = Synapses(cells, cells, "w : 1", on_pre="v += w", name="feed")
    feed.connect(i=0, j=1)
    return Network(cells, feed)


def test_a_model_says_what_it_holds_and_what_is_trained() -> None:
    shown = repr(mn.mirror(network(), train={"cells.tau": mn.Positive(), "feed.w": mn.Sign()}))
    assert "Mirror of 2 objects, 3 spiking elements, dt = 0.1 ms, float32 on cpu" in shown
    assert "cells: NeuronGroup of 3" in shown and "feed: Synapses of 1" in shown
    assert "trained: cells.tau = 0.008 to 0.01 s (3 values, positive)" in shown
    assert "Holder" not in shown


def test_a_recording_says_what_was_recorded() -> None:
    model = mn.mirror(network())
    shown = repr(model.run(20 * ms, batch_size=2, record=["cells.v"]))
    assert "Recording of 200 steps of 0.1 ms, 2 trials" in shown
    assert "3 neurons" in shown and "Hz: spikes['cells']" in shown
    assert "cells.v  time batch neuron (200, 2, 3) [1]" in shown
    assert len(shown.splitlines()) == 3
    later = model.run(5 * ms, state=model.run(20 * ms).state)
    assert "from 20 ms, 1 trial" in repr(later)


def test_a_log_gets_no_bar_from_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    model = mn.mirror(network(), train={"feed.w": mn.Sign()})
    task = mn.Task(20 * ms, lambda recording, trial: recording.spikes["cells"].mean())
    mn.fit(model, task, steps=3)
    assert log.getvalue() == ""


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    for _ in progress_bar(range(3), shown=True, desc="steps", file=screen):
        pass
    assert "steps: 100%" in screen.getvalue()


def test_brian2_does_not_miss_objects_that_were_mirrored() -> None:
    seen: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    BrianLogger.log_level_warn()
    try:
        mirrored = network()
        mn.mirror(mirrored)
        del mirrored
        gc.collect()
        forgotten = NeuronGroup(1, "v : 1", name="forgotten")
        del forgotten
        gc.collect()
    finally:
        BrianLogger.log_level_error()
        logger.removeHandler(handler)
    assert [text.split("'")[1] for text in seen] == ["forgotten"]


def test_a_model_of_nothing_trained_is_printed() -> None:
    assert "trained" not in repr(mn.mirror(network(), dtype=torch.float64))


def test_a_neuron_model_is_printed_as_source_equations_and_values() -> None:
    shown = str(mn.bio.neurons["lif"])
    assert shown.startswith("Leaky integrate-and-fire neuron.")
    assert "dv/dt = (E_L - v" in shown and "tau_m = 20*ms" in shown


@pytest.mark.slow
@pytest.mark.skipif(which("g++") is None, reason="there is no C++ compiler")
def test_compilation_by_cython_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    mn.simulate(network, 1 * ms, target="numpy", report="text")
    assert "Cython" not in capsys.readouterr().err
    mn.simulate(network, 1 * ms, target="cython", report="text")
    assert "simulate: Cython compiles the code of each object" in capsys.readouterr().err
