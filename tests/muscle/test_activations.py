"""Laws of the activation dynamics: each holds for every file in `muscle/activations/`."""

import re

import numpy as np
import pytest
import sympy
from sympy.physics import biomechanics

from mirrorneuron.muscle import Activation, activations
from mirrorneuron.muscle._expression import evaluate

EVERY = pytest.mark.parametrize("model", activations.values(), ids=activations)


def change(model: Activation, u: object, a: object) -> np.ndarray:
    """Derivative of the activation, with 15 and 60 ms [1/s]."""
    times = {"tau_a": 0.015, "tau_d": 0.060}
    return evaluate(model.equation, {**model.constants, **times, "u": u, "a": a})


@EVERY
def test_activation_moves_towards_excitation(model: Activation) -> None:
    u, a = np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21))
    assert np.all(change(model, u, a) * (u - a) >= 0)
    assert np.all((change(model, u, a) == 0) == (u == a))


@EVERY
def test_activation_rises_faster_than_it_decays(model: Activation) -> None:
    assert change(model, 1.0, 0.5) > -2 * change(model, 0.0, 0.5)


@EVERY
def test_the_source_is_told(model: Activation) -> None:
    assert re.search(r"Source: .*\d{4}.*doi:10\.\d+/\S+", model.source, re.DOTALL)
    assert "Differs from it:" in model.source


def test_degroote_agrees_with_sympy() -> None:
    model = activations["degroote"]
    dynamics = biomechanics.FirstOrderActivationDeGroote2016(
        "m", sympy.Float(0.015), sympy.Float(0.060), sympy.Float(10.0)
    )
    (rhs,) = dynamics.rhs()
    u, a = np.meshgrid(np.linspace(0, 1, 11), np.linspace(0, 1, 11))
    found = sympy.lambdify((dynamics.excitation, dynamics.activation), rhs)(u, a)
    assert change(model, u, a) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize(
    ("times", "half", "nine_tenths", "down_half"),
    [((0.015, 0.050), 9.54, 48.83, 22.31), ((0.010, 0.040), 6.36, 32.55, 17.85)],
)
def test_thelen_has_the_step_times_of_its_closed_form(
    times: tuple[float, float], half: float, nine_tenths: float, down_half: float
) -> None:
    """Times to 50 and 90 % of a step up, and to 50 % of a step down [ms]."""
    names = {"tau_a": times[0], "tau_d": times[1]}
    text, dt = activations["thelen"].equation, 1e-6
    up, down, reached = 0.0, 1.0, {}
    for k in range(60_000):
        if up >= 0.5:
            reached.setdefault("half", k)
        if up >= 0.9:
            reached.setdefault("nine", k)
        if down <= 0.5:
            reached.setdefault("down", k)
        z = 0.5 + 1.5 * up
        up += dt * (1 - up) / (names["tau_a"] * z)
        down -= dt * down * (0.5 + 1.5 * down) / names["tau_d"]
    assert evaluate(text, {**names, "u": 1.0, "a": 0.3}) == pytest.approx(
        0.7 / (names["tau_a"] * 0.95)
    )
    assert evaluate(text, {**names, "u": 0.0, "a": 0.3}) == pytest.approx(
        -0.3 * 0.95 / names["tau_d"]
    )
    assert reached["half"] * 1e-3 == pytest.approx(half, abs=0.02)
    assert reached["nine"] * 1e-3 == pytest.approx(nine_tenths, abs=0.05)
    assert reached["down"] * 1e-3 == pytest.approx(down_half, abs=0.05)
