"""The study of consolidation: closed forms, synapses in Brian2, and rules as optimizers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from torch import nn

from mirrorneuron.bio.plasticity import benna_fusi, cascade
from mirrorneuron.errors import CheckpointError
from mirrorneuron.studies._kit.images import Images
from mirrorneuron.studies.consolidation import _synapses
from mirrorneuron.studies.consolidation._learners import Cascade, Chain, Metaplastic
from mirrorneuron.studies.consolidation._tasks import RULES, Run, Setting, trained


def exponent(ages: np.ndarray, signal: np.ndarray) -> float:
    return float(np.polyfit(np.log(ages), np.log(signal), 1)[0])


def test_a_chain_forgets_with_the_square_root_of_time_and_then_exponentially() -> None:
    ages = np.geomspace(16, 500, 30)
    assert exponent(ages, benna_fusi.memory(ages, 8, 1.0)) == pytest.approx(-0.5, abs=0.005)
    single = benna_fusi.memory(np.array([0.0, 4.0, 8.0]), 1, 1.0)
    np.testing.assert_allclose(single, np.exp([0.0, -1.0, -2.0]))


def test_the_memory_of_a_chain_is_its_matrix_exponential() -> None:
    t = np.array([0.0, 0.3, 2.0, 50.0])
    exact = [expm(benna_fusi.flow(5, 2.0) * x)[0, 0] for x in t]
    np.testing.assert_allclose(benna_fusi.memory(t, 5, 2.0), exact, rtol=1e-10)


def test_all_states_of_a_cascade_are_equally_likely_at_rest() -> None:
    up = cascade.jump(6, 0.5)
    swap = np.roll(np.eye(12), 6, axis=0)
    rest = (up + swap @ up @ swap) @ np.full(12, 1 / 12)
    np.testing.assert_allclose(rest, 0, atol=1e-15)
    np.testing.assert_allclose(up.sum(0), 0, atol=1e-15)


def test_contacts_that_jump_in_brian2_forget_as_their_matrix_says() -> None:
    found = _synapses.run_cascade(6, 1200, 800, 30, 0)
    slope, theory = found.slopes(2, 30)
    assert slope == pytest.approx(theory, rel=0.1)
    assert found.noise == pytest.approx(1, abs=0.01)


def test_a_chain_in_brian2_forgets_as_its_closed_form_says() -> None:
    found = _synapses.run_chain(4, 300, 300, 40, 0)
    np.testing.assert_allclose(found.signal[:6], found.theory[:6], rtol=0.1)


def test_metaplastic_weights_in_brian2_follow_the_closed_form() -> None:
    found = _synapses.run_metaplastic(10)
    np.testing.assert_allclose(found.weights, found.expected, atol=1e-12)


def test_a_chain_under_a_weight_keeps_the_sum_and_flows_back() -> None:
    w = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([w], 1.0)
    kept = Chain(optimizer, 3, tau=4.0, period=1)
    w.grad = torch.tensor([-1.0])
    optimizer.step()
    size = [1, 2, 4]
    held = [float(x.detach()) for x in (w, *kept.deep[0][:-1])]
    assert sum(c * u for c, u in zip(size, held, strict=True)) == pytest.approx(1)
    assert 0 < held[1] < held[0] < 1


def test_only_steps_that_lower_a_hidden_weight_are_shortened() -> None:
    w = nn.Parameter(torch.tensor([0.5, 0.5, -0.5]))
    optimizer = torch.optim.SGD([w], 0.1)
    Metaplastic(optimizer, 2.0)
    w.grad = torch.tensor([1.0, -1.0, 1.0])
    optimizer.step()
    short = 0.1 * (1 - np.tanh(1.0) ** 2)
    np.testing.assert_allclose(w.detach().numpy(), [0.5 - short, 0.6, -0.6], rtol=1e-6)


def test_a_binary_weight_follows_its_gradient_down_a_cascade() -> None:
    w = nn.Parameter(torch.ones(500))
    optimizer = Cascade([w], 4, 1.0, 0)
    for _ in range(200):
        w.grad = torch.ones(500)
        optimizer.step()
    assert (w.detach() == -1).all()
    assert (optimizer.levels[0] == 3).float().mean() > 0.9


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_learns_a_task(rule: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.random((300, 12)).astype(np.float32)
    y = (x[:, 0] > x[:, 1]).astype(np.int64)
    setting = Setting(rule, 0, hidden=24, tasks=1, epochs=25, batch=30, trials=10, rate=0.05)
    run = trained(setting, Images(x, y, x, y))
    assert run.mean > 0.75
    assert trained(replace(setting, epochs=1), Images(x, y, x, y)).first == pytest.approx(
        trained(replace(setting, epochs=1), Images(x, y, x, y)).first
    )


def test_results_are_kept_and_damaged_files_are_told(tmp_path: Path) -> None:
    run = Run([[0.5], [0.4, 0.6]])
    run.save(tmp_path / "a.json")
    assert Run.load(tmp_path / "a.json") == run
    assert run.mean == pytest.approx(0.5)
    kept = _synapses.Retention([1.0, 2.0], [0.5, 0.2], [0.5, 0.2], 1.0)
    kept.save(tmp_path / "b.json")
    assert _synapses.Retention.load(tmp_path / "b.json") == kept
    for load in (Run.load, _synapses.Retention.load):
        (tmp_path / "c.json").write_text("{")
        with pytest.raises(CheckpointError, match="Remove it, and it is computed again"):
            load(tmp_path / "c.json")
