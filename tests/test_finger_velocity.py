"""The study of finger velocity: exact costs, the network of the paper, files of recordings."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import mirrorneuron as mn
from mirrorneuron.cli import app
from mirrorneuron.errors import CheckpointError, DataError, DomainError, UnknownName
from mirrorneuron.studies import studies
from mirrorneuron.studies.finger_velocity import _decoder
from mirrorneuron.studies.finger_velocity._decoder import (
    Trained,
    masked_values,
    r_squared,
    same_in_brian2,
    wiener,
)
from mirrorneuron.studies.finger_velocity._generator import SESSIONS, Session, generate
from mirrorneuron.studies.finger_velocity._network import DT, Values, mirrored, start
from mirrorneuron.studies.finger_velocity.finger_velocity import FingerVelocity


@pytest.mark.parametrize(("channels", "size"), [(96, 21_000), (192, 33_288)])
def test_the_footprint_of_the_tiny_network_in_half_precision_is_the_published_one(
    channels: int, size: int
) -> None:
    model = mirrored(start(channels, 64, 1, 0))
    assert mn.analysis.complexity(model, value_bytes=2).footprint == size


@pytest.mark.slow
def test_the_footprint_of_the_big_network_in_single_precision_is_the_published_one() -> None:
    assert mn.analysis.complexity(mirrored(start(96, 1024, 5, 0))).footprint == 4_636_752


def small(seed: int = 0) -> Values:
    values = start(12, 10, 2, seed)
    return Values({k: 0.8 * w for k, w in values.weights.items()}, values.times)


def test_the_network_steps_as_the_published_equations_do() -> None:
    values, steps = small(), 300
    x = np.random.default_rng(1).random((steps, 12)) < 0.1
    model = mirrored(values, dtype=torch.float64)
    seen = model.run_steps(steps, {"stimulus": x[:, None]}, record=["readout.u"])
    decay = {k: np.exp(-DT / tau) for k, tau in values.times.items()}
    s, u, current = np.zeros((steps, 10)), np.zeros(10), np.zeros(10)
    y, filtered, traces = np.full(4, -0.01), np.zeros(4), []
    for n in range(steps):
        traces.append(y)
        before = (x[n - 2] @ values.weights["ih"] + s[n - 2] @ values.weights["hh"], s[n - 2])
        arrived, spikes = before if n >= 2 else (np.zeros(10), np.zeros(10))
        held = 1 - (s[n - 1] if n else 0)
        m = decay["hidden.tau_m"]
        u, current = (m * u + (1 - m) * current) * held, decay["hidden.tau_s"] * current
        s[n] = u > 1
        m = decay["readout.tau_m"]
        y, filtered = m * y + (1 - m) * filtered, decay["readout.tau_s"] * filtered
        current = current + arrived
        filtered = filtered + spikes @ values.weights["ho"]
    assert s.sum() > 100
    assert np.array_equal(seen.spikes["hidden"][:, 0].detach().numpy() > 0, s > 0)
    np.testing.assert_allclose(seen["readout.u"][:, 0].detach().numpy(), traces, atol=1e-12)


def test_effective_accumulates_are_spikes_times_synapses_that_are_not_zero() -> None:
    values, steps = masked_values(small(), 0.5), 200
    x = np.random.default_rng(2).random((steps, 1, 12)) < 0.2
    seen = mirrored(values).run_steps(steps, {"stimulus": x})
    cost = mn.analysis.complexity(mirrored(values), seen)
    spikes = {"ih": x[:, 0], "hh": seen.spikes["hidden"][:, 0].detach().numpy() > 0}
    spikes["ho"] = spikes["hh"]
    for name, w in values.weights.items():
        expected = (spikes[name] @ (w != 0).sum(1)).mean()
        assert cost.accumulates[name] == pytest.approx(expected)
    assert cost.effective_accumulates == pytest.approx(sum(cost.accumulates.values()))
    assert cost.sparsity == {"hidden": pytest.approx(1 - spikes["hh"].mean())}
    assert "effective accumulates" in str(cost)


def test_costs_without_a_recording_are_the_footprint_alone() -> None:
    cost = mn.analysis.complexity(mirrored(small()))
    assert cost.footprint == 4 * cost.parameters
    assert np.isnan(cost.effective_accumulates)
    assert str(cost).startswith(f"footprint {cost.footprint} B")


def test_costs_of_what_is_no_mirror_are_refused() -> None:
    with pytest.raises(DomainError, match="this is no mirror"):
        mn.analysis.complexity(torch.nn.Linear(2, 2))
    model = mirrored(small())
    for size in (0, -2, 2.5, True):
        with pytest.raises(DomainError, match="size of a value is a whole number of bytes"):
            mn.analysis.complexity(model, value_bytes=size)
    with pytest.raises(UnknownName, match="has no spikes of 'hidden'"):
        mn.analysis.complexity(model, type("Empty", (), {"spikes": {}})())


def test_a_pruned_network_in_half_precision_spikes_in_brian2_as_in_its_mirror() -> None:
    values = masked_values(small(), 0.4).half()
    assert all(np.array_equal(w, w.astype(np.float16)) for w in values.weights.values())
    x = np.random.default_rng(3).random((500, 12)) < 0.1
    part = Session("one", x, np.zeros((500, 2)), True)
    same, apart, spikes = same_in_brian2(values, part, 2.0)
    assert same
    assert spikes > 100
    assert apart < 1e-12


def test_sessions_have_the_published_rates_and_a_linear_filter_reads_them() -> None:
    session = generate("indy_1", 60.0, 0)
    assert session.spikes.shape == (15_000, SESSIONS["indy_1"][0])
    assert session.spikes.mean() / DT == pytest.approx(20.7, rel=0.03)
    assert wiener(generate("indy_1", 200.0, 0)) == pytest.approx(0.58, abs=0.05)


def test_the_explained_share_is_one_for_the_truth_and_zero_for_its_mean() -> None:
    truth = np.random.default_rng(0).standard_normal((100, 2))
    assert r_squared(truth, truth) == 1
    assert r_squared(truth, np.tile(truth.mean(0), (100, 1))) == pytest.approx(0, abs=1e-12)


def test_weights_of_eight_bit_have_256_values_at_most() -> None:
    for w in small().whole_numbers().weights.values():
        assert len(np.unique(w)) <= 255


def test_a_recording_of_the_documented_layout_is_read(tmp_path: Path) -> None:
    made = generate("indy_2", 20.0, 1)
    position = np.cumsum(made.velocity, 0) * DT
    np.savez(tmp_path / "mine.npz", spikes=made.spikes, position=position)
    session = Session.load(tmp_path, "mine")
    assert np.array_equal(session.spikes, made.spikes)
    np.testing.assert_allclose(session.velocity, np.gradient(position, DT, axis=0))
    assert not session.generated


def test_recordings_of_another_layout_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"absent.npz is no recording .* It reads a folder with an .npz file"
    ):
        Session.load(tmp_path, "absent")
    np.savez(tmp_path / "other.npz", spikes=np.zeros((2000, 3)))
    with pytest.raises(DataError, match="is no recording of this study"):
        Session.load(tmp_path, "other")
    np.savez(tmp_path / "short.npz", spikes=np.zeros((2000, 3)), position=np.zeros((1000, 2)))
    with pytest.raises(DataError, match=r"spikes have the shape \(2000, 3\) and positions"):
        Session.load(tmp_path, "short")
    position = np.zeros((2000, 2))
    position[7] = np.nan
    np.savez(tmp_path / "nan.npz", spikes=np.zeros((2000, 3)), position=position)
    with pytest.raises(DataError, match="2 positions are not finite"):
        Session.load(tmp_path, "nan")


def test_the_command_line_takes_a_folder_of_recordings(tmp_path: Path) -> None:
    for name in ("b", "a"):
        made = generate("indy_2", 20.0, 1)
        position = np.cumsum(made.velocity, 0) * DT
        np.savez(tmp_path / f"{name}.npz", spikes=made.spikes, position=position)
    study = FingerVelocity().with_data(tmp_path)
    assert study.sessions == ("a", "b")
    assert study.quick().sessions == ("a",)
    assert np.array_equal(study.session("a").spikes, made.spikes)


def test_the_command_line_shows_the_layout_where_recordings_are_absent_or_other(
    tmp_path: Path,
) -> None:
    asked = ["run", "finger_velocity", "--quick", "--data", str(tmp_path), "--out", str(tmp_path)]
    told = CliRunner().invoke(app, asked).exception
    assert isinstance(told, DataError)
    assert re.search(r"no recordings are there. It reads a folder with .* SESSION.npz", str(told))
    np.savez(tmp_path / "other.npz", spikes=np.zeros((2000, 3)))
    with pytest.raises(DataError, match=r"is no recording of this study .* It reads a folder"):
        FingerVelocity().with_data(tmp_path)


def test_a_study_without_recordings_refuses_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data .*: 'Implicit .* takes no recordings.*without"):
        studies["isoloss"]().with_data(tmp_path)


def test_a_training_is_kept_and_a_damaged_file_is_told(tmp_path: Path) -> None:
    done = Trained(
        small(), _decoder.Tested(0.5, 300.0, 0.98, [[1.0], [2.0]]), 0.4, None, small().half()
    )
    done.save(tmp_path / "a.json")
    again = Trained.load(tmp_path / "a.json")
    assert again.test == done.test
    assert again.pruned is not None
    assert np.array_equal(again.values.weights["ih"], done.values.weights["ih"])
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(CheckpointError, match="holds no finished training"):
        Trained.load(tmp_path / "a.json")
