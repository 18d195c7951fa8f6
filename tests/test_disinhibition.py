"""Dis-inhibition: signs of plasticity in circuits, steady states, gradients, the student."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot, softplus

from mirrorneuron.studies._kit.images import images
from mirrorneuron.studies.disinhibition._activation import Line, Softplus
from mirrorneuron.studies.disinhibition._circuit import (
    ABLATED,
    EXACT,
    HELD,
    LINEAR,
    LINES,
    Circuit,
    Curve,
    grid,
)
from mirrorneuron.studies.disinhibition._classifier import (
    Training,
    Weights,
    accuracy,
    closed_loop,
    feedback,
    gradients,
    open_loop,
)
from mirrorneuron.studies.disinhibition._relaxation import relax
from mirrorneuron.studies.disinhibition._report import last_before
from mirrorneuron.studies.disinhibition._student import Learning, Sizes, learn


@pytest.mark.parametrize("phi", [Softplus(), Softplus(5.0, 1.0)])
def test_an_activation_has_an_inverse_a_slope_and_a_tangent(phi: Softplus) -> None:
    u = np.linspace(-2, 6, 50)
    np.testing.assert_allclose(phi.inverse(phi(u)), u, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(
        phi.slope(u), (phi(u + 1e-6) - phi(u - 1e-6)) / 2e-6, rtol=1e-7, atol=1e-9
    )
    line, rate = phi.line(0.5), 0.5 + 1e-4
    assert line(0.5) == pytest.approx(float(phi.inverse(0.5)), rel=1e-12)
    assert line(rate) == pytest.approx(float(phi.inverse(rate)), abs=1e-7)
    names: dict[str, Any] = {"exp": np.exp, "log": np.log, "log1p": np.log1p, "expm1": np.expm1}
    for text, value in (
        (phi.text("u"), phi(u)), (phi.slope_text("u"), phi.slope(u)),
        (phi.inverse_text("u"), phi.inverse(np.abs(u) + 0.1)),
    ):  # fmt: skip
        shown = np.abs(u) + 0.1 if "expm1" in text else u
        np.testing.assert_allclose(eval(text, {**names, "u": shown}), value, rtol=1e-12)


# Sign changes of the published equations on a coarse grid: 3.98, 2.99, 4.07, 3.10.
@pytest.mark.parametrize(
    ("circuit", "published"),
    [(EXACT[4.0], 3.98), (EXACT[3.0], 2.99), (LINEAR[4.0], 4.07), (LINEAR[3.0], 3.10)],
)
def test_the_sign_of_plasticity_changes_near_the_target(circuit: Circuit, published: float) -> None:
    crossed = circuit.curve(grid(10.0, 101)).crossings()[-1]
    assert crossed == pytest.approx(published, rel=0.01)
    assert crossed == pytest.approx(circuit.threshold(published - 0.5, published + 1), rel=1e-3)


@pytest.mark.parametrize("target", [2.0, 3.5, 5.0])
def test_the_exact_rule_changes_sign_at_any_target(target: float) -> None:
    assert Circuit(None, target).threshold(0.5, 8.0) == pytest.approx(target, rel=1e-9)


def test_without_top_down_input_there_is_a_bcm_threshold() -> None:
    sampled = ABLATED[LINES[0]].curve(grid(13.0, 100))
    assert last_before(sampled) == pytest.approx(1.88, rel=0.01)
    assert ABLATED[LINES[0]].threshold(0.5, 3.0) == pytest.approx(1.950, abs=1e-3)
    assert ABLATED[LINES[1]].threshold(0.5, 3.0) == pytest.approx(1.167, abs=1e-3)


def test_an_isolated_neuron_has_the_threshold_of_the_line() -> None:
    for rate, circuit in HELD.items():
        assert circuit.threshold(0.5, 6.0) == pytest.approx(1.5 + 1.5 * rate, rel=1e-12)
    held = HELD[0.75].curve(grid(10.0, 51))
    assert held.crossings()[0] == pytest.approx(2.625, rel=0.01)


def test_crossings_lie_between_samples() -> None:
    x = np.array([0.0, 1.0, 2.0, 3.0])
    assert Curve(x, x, np.array([-1.0, -0.5, 0.5, -0.5])).crossings() == [1.5, 2.5]


def digits(dtype: torch.dtype = torch.float64) -> tuple[Weights, torch.Tensor, torch.Tensor]:
    few = images("digits").first(20)
    weights = Weights.drawn(64, 24, 10, 3, dtype)
    return weights, torch.from_numpy(few.pixels).to(dtype), torch.from_numpy(few.labels)


def test_brian2_relaxes_to_the_steady_states_of_the_classifier() -> None:
    weights, x, labels = digits()
    label = one_hot(labels[:1], 10).double()
    free = open_loop(weights, x[:1])
    held = closed_loop(weights, x[:1], label, free, steps=100)
    drive, q = (x[:1] @ weights.w + weights.b)[0].numpy(), feedback(weights, free)[0].numpy()
    for state, controlled in ((free, False), (held, True)):
        found = relax(drive, weights.out.numpy(), q, label[0].numpy(), controlled)
        for name, value in found.items():
            np.testing.assert_allclose(value, getattr(state, name)[0].numpy(), atol=1e-9)


def test_control_moves_the_output_towards_the_label() -> None:
    weights, x, labels = digits()
    label = one_hot(labels, 10).double()
    free = open_loop(weights, x)
    held = closed_loop(weights, x, label, free)
    loss = [torch.nn.functional.cross_entropy(s.y, labels).item() for s in (free, held)]
    assert loss[1] < loss[0]
    torch.testing.assert_close(
        feedback(weights, free).flatten(1).norm(dim=1), torch.ones(20, dtype=torch.float64)
    )


def test_backpropagation_is_the_gradient_of_the_steady_state() -> None:
    weights, x, labels = digits()
    label = one_hot(labels, 10).double()
    found = gradients(weights, x, label, "backpropagation")
    leaves = Weights(*(value.clone().requires_grad_() for value in weights))
    u = open_loop(weights, x).u_E
    drive = x @ leaves.w + leaves.b
    slope = 1 + torch.sigmoid(softplus(u)) * torch.sigmoid(u)  # one step of Newton's method
    u = u - (u + softplus(softplus(u)) - drive) / slope
    torch.nn.functional.cross_entropy(softplus(u) @ leaves.out, labels).backward()
    for mine, leaf in zip(found, leaves, strict=True):
        torch.testing.assert_close(mine, leaf.grad, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("rule", ["exact", "linear"])
def test_the_rules_point_where_backpropagation_points(rule: Any) -> None:
    weights, x, labels = digits()
    label = one_hot(labels, 10).double()
    found, true = (gradients(weights, x, label, r) for r in (rule, "backpropagation"))
    for mine, other in zip(found, true, strict=True):
        cosine = torch.cosine_similarity(mine.flatten(), other.flatten(), dim=0)
        assert cosine > 0.85


def test_a_classifier_learns() -> None:
    torch.set_default_dtype(torch.float32)
    found = Training("exact", 0, hidden=32, epochs=3, batch=20).accuracies(
        images("digits"), lambda: None
    )
    assert len(found) == 4
    assert found[-1] > 0.6 > 0.3 > found[0]


def test_accuracy_counts_right_answers() -> None:
    weights, x, _ = digits()
    answers = open_loop(weights, x).y.argmax(1)
    assert accuracy(weights, x, answers) == 1.0
    assert accuracy(weights, x, (answers + 1) % 10) == 0.0


@pytest.mark.slow
def test_a_controlled_student_follows_its_teacher_and_learns_to_do_without() -> None:
    found = learn(Learning("linear", 2, duration=30.0, rest=5.0, sizes=Sizes(30, 20, 2)))
    assert len(found.free) == 7 and len(found.controlled) == 6
    assert found.controlled.max() < 0.05 * found.free[0]
    assert found.free[-1] < 0.5 * found.free[0]


def test_a_line_is_its_text() -> None:
    assert eval(Line(0.5, 2.0).text("r"), {"r": 3.0}) == Line(0.5, 2.0)(3.0) == 6.5
