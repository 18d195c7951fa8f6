"""Recordings as Neo objects and as NWB files."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, ms, mV, nS

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, ExportError, MissingDependency

neo: Any = pytest.importorskip("neo")


@pytest.fixture(scope="module")
def recording() -> mn.Recording:
    """Two trials of two groups, not from the start."""
    made = [
        NeuronGroup(
            size, "dv/dt = (I - v)/(10*ms) : volt\nI : volt\ndg/dt = -g/(5*ms) : siemens\n"
            "dx/dt = -x/(5*ms) : metre/second",
            threshold="v > 10*mV", reset="v = 0*mV", method="euler", name=name,
        )
        for name, size in (("a", 3), ("b", 2))
    ]  # fmt: skip
    for group in made:
        group.I, group.g = np.linspace(5, 30, len(group)) * mV, 2 * nS
    model = mn.mirror(Network(*made), dtype=torch.float64)
    state = model.run(5 * ms, batch_size=2).state
    return model.run(40 * ms, state=state, record=["a.v", "a.g", "b.x"])


def test_a_block_has_every_spike_and_trace(recording: mn.Recording) -> None:
    block = recording.to_neo()
    assert len(block.segments) == 2
    for trial, segment in enumerate(block.segments):
        assert len(segment.spiketrains) == 5
        for train in segment.spiketrains:
            group, neuron = train.annotations["group"], train.annotations["neuron"]
            own = recording.spike_trains(group, trial)[neuron]
            assert np.array_equal(np.asarray(train.times), np.asarray(own))
            assert float(train.t_start) == pytest.approx(5e-3)
            assert float(train.t_stop) == pytest.approx(45e-3)
        units = {s.name: s.dimensionality.string for s in segment.analogsignals}
        assert units == {"a.v": "V", "a.g": "S", "b.x": "m/s"}
        assert np.array_equal(segment.analogsignals[0].magnitude, recording["a.v"][:, trial])
    assert sum(len(t) for t in block.segments[0].spiketrains) > 10


def test_some_trials_are_chosen_by_number(recording: mn.Recording) -> None:
    assert [s.index for s in recording.to_neo(trials=[1]).segments] == [1]
    with pytest.raises(
        DomainError, match=r"to_neo\(...\): there is no trial 2; the recording has 2"
    ):
        recording.to_neo(trials=[2])


@pytest.mark.filterwarnings("ignore")
def test_a_file_in_nwb_has_every_spike_and_trace(recording: mn.Recording, tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    place = recording.to_nwb(tmp_path / "run.nwb", trial=1, description="a test")
    with pynwb.NWBHDF5IO(place, "r") as io:
        file = io.read()
        assert file.session_description == "a test"
        units = file.units.to_dataframe()
        assert list(units["group"]) == ["a"] * 3 + ["b"] * 2
        for _, unit in units.iterrows():
            own = recording.spike_trains(unit["group"], 1)[unit["neuron"]]
            assert np.array_equal(unit["spike_times"], np.asarray(own))
        trace = file.acquisition["a.v"]
        assert np.array_equal(trace.data[:], recording["a.v"][:, 1]) and trace.unit == "V"
        assert trace.starting_time == pytest.approx(5e-3) and trace.rate == pytest.approx(1e4)
    assert list(tmp_path.iterdir()) == [place]
    assert pynwb.validate(path=str(place)) in ([], ([], 0))


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_written_is_said_by_name(recording: mn.Recording, tmp_path: Path) -> None:
    pytest.importorskip("pynwb")
    with pytest.raises(DomainError, match=r"to_nwb\(...\): there is no trial 5"):
        recording.to_nwb(tmp_path / "run.nwb", trial=5)
    with pytest.raises(ExportError, match=r"to_nwb\('.*'\): the file could not be written"):
        recording.to_nwb(tmp_path / "nowhere" / "run.nwb")


@pytest.mark.parametrize(
    ("library", "extra", "ask"),
    [("neo", "validate", lambda r, p: r.to_neo()), ("pynwb", "nwb", lambda r, p: r.to_nwb(p))],
)
def test_a_library_that_is_absent_is_said_with_the_extra(
    library: str, extra: str, ask: Any, recording: mn.Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependency, match=rf"pip install 'mirrorneuron\[{extra}\]'"):
        ask(recording, "run.nwb")
