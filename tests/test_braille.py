"""The study of Braille letters: hand-computed events, calibration, the network of the paper."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mirrorneuron.bio.simulation._scope import preferring
from mirrorneuron.errors import DataError
from mirrorneuron.studies.braille._encoder import binned, counts, encoded
from mirrorneuron.studies.braille._generator import CLASSES, DOTS, PUBLISHED, Touch, Trials
from mirrorneuron.studies.braille._lstm import LstmSetting
from mirrorneuron.studies.braille._network import (
    READINGS,
    Reading,
    Tall,
    Values,
    copied,
    mirrored,
    published,
)
from mirrorneuron.studies.braille._reader import Kind, Setting, Shown, read, shown
from mirrorneuron.studies.braille._recording import recorded
from mirrorneuron.studies.braille.braille import Braille, events

Array = NDArray[np.float64]


@pytest.mark.parametrize(
    ("signal", "theta", "times", "on"),
    [
        ((0, 3), 1.0, (1 / 3, 2 / 3, 1.0), (1, 1, 1)),
        ((5, 5, 5), 1.0, (), ()),
        ((0, 5, 0), 2.0, (0.4, 0.8, 1.6, 2.0), (1, 1, 0, 0)),
        ((0, 3, 1), 2.0, (2 / 3,), (1,)),
        ((0, 1, 2, 1, 0), 2.0, (2.0, 4.0), (1, 0)),
        ((0, 4, 3, 6), 5.0, (2 + 2 / 3,), (1,)),
        ((10, 0), 5.0, (0.5, 1.0), (0, 0)),
        ((0, 9, 12, 1), 10.0, (4 / 3,), (1,)),
    ],
)
def test_events_of_signals_computed_by_hand(
    signal: tuple[int, ...], theta: float, times: tuple[float, ...], on: tuple[int, ...]
) -> None:
    found = encoded(np.array(signal), np.arange(len(signal), dtype=float), theta)
    np.testing.assert_allclose(found.time, times, rtol=1e-12)
    assert found.on.tolist() == list(map(bool, on))


@pytest.mark.parametrize("theta", PUBLISHED)
def test_events_follow_the_signal_to_less_than_the_threshold(theta: float) -> None:
    signal = np.random.default_rng(3).integers(0, 40, 200)
    found = encoded(signal, np.arange(200.0), theta)
    assert (np.diff(found.time) >= 0).all()
    assert counts(signal[None], theta).tolist() == [len(found.time)]
    moved = np.where(found.on, theta, -theta)
    for t, value in enumerate(signal):
        level = signal[0] + moved[found.time <= t].sum()
        assert abs(value - level) < theta
    mirrored_ = encoded(-signal, np.arange(200.0), theta)
    np.testing.assert_array_equal(mirrored_.time, found.time)
    np.testing.assert_array_equal(mirrored_.on, ~found.on)


def test_bins_have_two_channels_for_each_taxel() -> None:
    taxels = np.array([[0, 4], [2, 4], [2, 3]])
    raster = binned(taxels, np.array([1.0, 1.01, 1.02]), 1.0, 5e-3, 4)
    assert [tuple(x) for x in np.argwhere(raster)] == [(1, 0), (2, 0)]
    assert [tuple(x) for x in np.argwhere(binned(taxels, np.arange(3.0), 1.0, 0.5, 5))] == [
        (1, 0), (2, 0), (4, 3),
    ]  # fmt: skip


def test_letters_have_cells_of_their_own() -> None:
    assert len(CLASSES) == len(set(DOTS)) == 27
    assert dict(zip(CLASSES, DOTS, strict=True))["W"] == "2456"


@pytest.mark.parametrize("seed", range(3))
def test_generated_taxels_have_the_published_number_of_events(seed: int) -> None:
    trials = Touch().draw(10, seed)
    assert trials.taxels.shape == (270, 51, 12)
    assert (trials.taxels.std((0, 1)) == 0).sum() == 1
    for theta, count in events(trials).items():
        assert count == pytest.approx(PUBLISHED[theta], rel=0.1)


def spikes_of_the_paper(values: Values, reading: Reading, x: Array) -> tuple[Array, Array]:
    """Spikes of hidden and output neurons by the published recursion."""
    w, beta = values.weights, np.exp(-reading.bin / reading.tau)
    alpha = np.exp(-reading.bin * 10 / reading.tau)
    hidden, classes = w["ho"].shape
    recurrent = w.get("hh", np.zeros((hidden, hidden)))

    def layer(given: Array, back: Array) -> Array:
        syn, mem, out = np.zeros(len(back)), np.zeros(len(back)), np.zeros(len(back))
        rows: list[Array] = []
        for now in given:
            fired = (mem > 1).astype(float)
            mem_next = (beta * mem + syn) * (1 - fired)
            syn = alpha * syn + now + out @ back
            mem, out = mem_next, fired
            rows.append(fired)
        return np.array(rows)

    scale = 1 / reading.gain
    spikes = layer(x @ w["ih"] * scale, recurrent * scale)
    return spikes, layer(spikes @ w["ho"] * scale, np.zeros((classes, classes)))


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("theta", [1.0, 5.0])
def test_spikes_are_those_of_the_published_recursion(theta: float, back: bool) -> None:
    reading = replace(READINGS[theta], back=0.5)
    values = published(reading, 6, 20, 5, back, 2)
    raster = np.random.default_rng(1).random((120, 1, 6)) < 0.2
    model = mirrored(reading, values, dtype=torch.float64)
    x = copied(raster, values)
    with torch.no_grad():
        seen = model.run_steps(120, {"stimulus": x})
    hidden, output = spikes_of_the_paper(values, reading, x[:, 0].astype(float))
    assert hidden.sum() > 50 and output.sum() > 5
    np.testing.assert_array_equal(seen.spikes["hidden"][:, 0].numpy(), hidden)
    np.testing.assert_array_equal(seen.spikes["output"][:, 0].numpy(), output)


@pytest.mark.parametrize("slope", [5.0, 15.0])
def test_the_slope_of_a_spike_is_the_published_one(slope: float) -> None:
    margin, width = torch.linspace(-2, 2, 9, dtype=torch.float64), 1 / slope
    expected = (slope * margin.abs() + 1) ** -2
    found = Tall(width=width)(margin, width) / width
    torch.testing.assert_close(found, expected)
    names = {"m": margin.numpy(), "w": width, "abs": np.abs}
    np.testing.assert_allclose(eval(Tall().formula, names) / width, expected.numpy())


def two_letters(theta: float = 1.0) -> Shown:
    trials = Touch().draw(6, 0)
    return shown(trials.some(np.flatnonzero(np.isin(trials.label, (0, 1)))), READINGS[theta], 1.275)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("feed-forward", marks=pytest.mark.slow),
        pytest.param("recurrent", marks=pytest.mark.slow),
        "improved",
    ],
)
def test_a_reader_learns_and_spikes_the_same_in_brian2(kind: Kind) -> None:
    torch.set_default_dtype(torch.float32)
    data = two_letters()
    setting = Setting(kind, 1.0, 0, hidden=16, classes=2, epochs=10, batch=12)
    with preferring(codegen__target="numpy"):
        found = read(setting, data, data, None, 1)
    assert found.losses[-1] < found.losses[0]
    assert found.same and found.compared > 50
    assert (len(set(found.tau)) > 1) == (kind == "improved")


def test_an_lstm_learns_two_classes() -> None:
    trials = Touch().draw(6, 0)
    few = trials.some(np.flatnonzero(np.isin(trials.label, (0, 1))))
    answer = LstmSetting(0, hidden=12, epochs=25, batch=6, classes=2).answers(few, few)
    assert np.mean(answer == few.label) > 0.8


def made_up(path: Path, **other: object) -> Path:
    rng = np.random.default_rng(0)
    held = {
        "taxels": rng.integers(0, 90, (12, 40, 4)).astype(np.int16),
        "timestamp": np.cumsum(rng.uniform(0.009, 0.011, (12, 40)), 1),
        "letter": np.array(list("QZ" * 6)),
    }
    np.savez(path, **(held | other))  # pyright: ignore[reportArgumentType]
    return path


def test_a_recording_of_the_documented_layout_is_read_in_folds(tmp_path: Path) -> None:
    study = Braille().with_data(made_up(tmp_path / "mine.npz"))
    trials, classes = study.data()
    assert classes == ("Q", "Z")
    assert trials.time[:, 0].tolist() == [0.0] * 12
    parts = [study.split(trials.label, seed) for seed in range(study.seeds)]
    assert sorted(np.concatenate([test for _, test in parts])) == list(range(12))
    for train, test in parts:
        assert not set(train) & set(test)
        assert set(trials.label[test]) == {0, 1}


def test_a_file_of_another_layout_is_refused_with_the_layout(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.npz", made_up(tmp_path / "a.npz", taxels=np.zeros((2, 3)))):
        with pytest.raises(DataError, match=r"npz: .* It reads an .npz file with `taxels`"):
            recorded(path)
    np.savez(tmp_path / "b.npz", taxels=np.zeros(3))
    with pytest.raises(DataError, match=r"no recording of touch .* It reads an .npz file"):
        Braille().with_data(tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"type float64, and the encoding follows whole numbers"):
        recorded(made_up(tmp_path / "c.npz", taxels=np.zeros((12, 40, 4))))
    with pytest.raises(DataError, match="times of a trial have to rise"):
        recorded(made_up(tmp_path / "d.npz", timestamp=np.zeros((12, 40))))
    with pytest.raises(DataError, match=r"there are 11 of 'Q', 1 of 'Z'. Five folds need"):
        recorded(made_up(tmp_path / "e.npz", letter=np.array(list("Q" * 11 + "Z"))))


@pytest.mark.slow
def test_the_quick_study_runs_on_a_recording_and_goes_on_where_it_was(tmp_path: Path) -> None:
    study = Braille().with_data(made_up(tmp_path / "mine.npz")).quick()
    first = study.run(tmp_path, progress=False)
    again = study.run(tmp_path, progress=False, resume=True)
    assert first.metrics == again.metrics
    assert first.metrics["spikes_identical"].ok
    assert len(first.figures) == 5


def test_a_trial_of_a_split_is_in_the_test_or_in_the_training() -> None:
    label = np.repeat(np.arange(27), 10)
    train, test = Braille().split(label, 0)
    assert len(train) == 216 and len(test) == 54
    kept = Trials(np.zeros((270, 2, 1), int), np.zeros((270, 2)), label)
    assert len(kept.some(test).label) == 54
