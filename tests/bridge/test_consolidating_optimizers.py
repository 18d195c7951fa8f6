"""Optimizers that protect what was learnt: synaptic intelligence and elastic weights."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

import mirrorneuron as mn
from mirrorneuron.errors import CheckpointError, DomainError, ShapeError

BOTH = pytest.mark.parametrize("kind", [mn.SynapticIntelligence, mn.ElasticWeights])
HARD = torch.tensor([1.0, 10.0, 0.0])


def descend(w: nn.Parameter, optimizer: SGD | Adam, goal: float, steps: int) -> float:
    """Towards a goal, each parameter with a curvature of its own; returns by how much it fell."""
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (HARD * (w - goal) ** 2).sum() / 2
        loss.backward()
        losses.append(float(loss.detach()))
        optimizer.step()
    return losses[0] - float((HARD * (w.detach() - goal) ** 2).sum() / 2)


def test_the_paths_of_all_parameters_add_up_to_the_fall_of_the_loss() -> None:
    w = nn.Parameter(torch.zeros(3))
    optimizer = SGD([w], 1e-4)
    kept = mn.SynapticIntelligence(optimizer, strength=0.1)
    fall = descend(w, optimizer, 1.0, 2000)
    assert float(kept.path[0].sum()) == pytest.approx(fall, rel=1e-3)


def test_importance_is_the_published_one() -> None:
    w = nn.Parameter(torch.zeros(3))
    optimizer = SGD([w], 1e-2)
    kept = mn.SynapticIntelligence(optimizer, strength=0.1, damping=0.3)
    descend(w, optimizer, 1.0, 50)
    path, moved = kept.path[0].clone(), w.detach().clone()
    kept.consolidate()
    torch.testing.assert_close(kept.importance[0], path / (moved**2 + 0.3))
    assert kept.importance[0][2] == 0
    assert torch.equal(kept.reference[0], moved)
    assert not kept.path[0].any()


@BOTH
def test_a_second_task_moves_less_what_mattered_in_the_first(kind: type) -> None:
    ends = []
    for strength in (0.0, 100.0):
        w = nn.Parameter(torch.zeros(3))
        optimizer = SGD([w], 1e-3)
        kept = kind(optimizer, strength=strength)
        descend(w, optimizer, 1.0, 3000)
        kept.consolidate(*([] if kind is mn.SynapticIntelligence else [[[HARD.sqrt()]]]))
        descend(w, optimizer, -1.0, 3000)
        ends.append(w.detach().clone())
    assert (ends[1][:2] - 1).abs().max() < 0.1
    assert (ends[0][:2] + 1).abs().max() < 0.1
    assert ends[1][2] == 0


@BOTH
def test_nothing_changes_with_a_strength_of_zero(kind: type) -> None:
    ends = []
    for followed in (False, True):
        w = nn.Parameter(torch.zeros(3))
        optimizer = Adam([w], 1e-2)
        if followed:
            kind(optimizer, strength=0)
        descend(w, optimizer, 1.0, 100)
        ends.append(w.detach().clone())
    assert torch.equal(*ends)


def test_the_penalty_has_the_slope_of_its_formula() -> None:
    w = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = SGD([w], 0.0)
    kept = mn.SynapticIntelligence(optimizer, strength=0.5)
    kept.importance[0].copy_(torch.tensor([3.0, 0.0]))
    kept.reference[0].zero_()
    optimizer.step()
    assert w.grad is not None
    assert w.grad.tolist() == [2 * 0.5 * 3.0 * 1.0, 0.0]


def test_the_penalties_of_two_tasks_are_their_sum_but_for_a_constant() -> None:
    w = nn.Parameter(torch.tensor([1.0]))
    kept = mn.ElasticWeights(SGD([w], 0.1), strength=1.0)
    kept.consolidate([[torch.tensor([1.0])]])
    w.data.fill_(4.0)
    kept.consolidate([[torch.tensor([2.0**0.5])]])
    assert float(kept.fisher[0]) == pytest.approx(3.0)
    assert float(kept.centre[0]) == pytest.approx((1 * 1 + 2 * 4) / 3)


def test_a_checkpoint_goes_on_and_one_of_other_parameters_is_refused() -> None:
    w = nn.Parameter(torch.zeros(3))
    optimizer = SGD([w], 1e-2)
    kept = mn.SynapticIntelligence(optimizer, strength=0.1)
    descend(w, optimizer, 1.0, 10)
    kept.consolidate()
    other = mn.SynapticIntelligence(SGD([nn.Parameter(torch.zeros(3))], 1e-2), strength=0.1)
    other.load_state_dict(kept.state_dict())
    assert torch.equal(other.importance[0], kept.importance[0])
    small = mn.SynapticIntelligence(SGD([nn.Parameter(torch.zeros(2))], 1e-2), strength=0.1)
    with pytest.raises(CheckpointError, match=r"'path' has the shapes \[\(3,\)\], and the param"):
        small.load_state_dict(kept.state_dict())


def test_a_removed_hook_follows_no_more() -> None:
    w = nn.Parameter(torch.zeros(3))
    optimizer = SGD([w], 1e-2)
    kept = mn.SynapticIntelligence(optimizer, strength=0.1)
    kept.remove()
    descend(w, optimizer, 1.0, 10)
    assert not kept.path[0].any()


@BOTH
def test_what_has_no_meaning_is_refused(kind: type) -> None:
    w = nn.Parameter(torch.zeros(1))
    with pytest.raises(DomainError, match="what is followed are the steps of an optimizer"):
        kind([w], strength=1.0)
    for strength in (-1, float("nan"), float("inf"), "much", True):
        with pytest.raises(DomainError, match=r"strength=.*: this weighs a penalty"):
            kind(SGD([w], 0.1), strength=strength)


def test_elastic_weights_need_trials_of_the_same_parameters() -> None:
    kept = mn.ElasticWeights(SGD([nn.Parameter(torch.zeros(2))], 0.1), strength=1.0)
    with pytest.raises(DomainError, match="there is no trial"):
        kept.consolidate([])
    with pytest.raises(ShapeError, match=r"have the shapes \[\(3,\)\], and the parameters have"):
        kept.consolidate([[torch.zeros(3)]])
