"""Laws of the force curves: each holds for every file in `muscle/curves/`."""

import re

import numpy as np
import pytest
import sympy
from brian2 import Equations
from sympy.physics import biomechanics

from mirrorneuron.errors import DomainError, UnknownName
from mirrorneuron.muscle import Curves, curves
from mirrorneuron.muscle._expression import evaluate, execute
from mirrorneuron.muscle.contraction import contraction

MODELS = {
    **curves,
    **{f"{n}-{v}": c.variant(v) for n, c in curves.items() for v in c.variants},
}
EVERY = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
LENGTHS, VELOCITIES = np.linspace(0.3, 1.7, 29), np.linspace(-2, 2, 41)


def force(
    model: Curves, activation: object, length: object, velocity: object, beta: float = 0.0
) -> np.ndarray:
    """Force of a parallel muscle on a rigid tendon, in F0, by the statements that Brian2 runs."""
    rest = {"F0": 1.0, "L0": 1.0, "L_slack": 0.0, "L_ref": 0.0, "v_max": 10.0, "beta": beta}
    given = {"activation": activation, "excursion": -length, "excursion_rate": -10 * velocity}
    return execute(contraction(model, "rigid", False, beta > 0), {**rest, **given})["force"]


@EVERY
def test_force_is_never_negative(model: Curves) -> None:
    for beta in (0.0, 0.1):
        for activation in (0.0, 0.01, 0.3, 1.0):
            grid = np.meshgrid(LENGTHS, VELOCITIES)
            assert np.all(force(model, activation, *grid, beta) >= 0)


@EVERY
def test_force_never_falls_when_activation_rises(model: Curves) -> None:
    activation = np.linspace(0, 1, 21)[:, None, None]
    for beta in (0.0, 0.1):
        grid = np.meshgrid(LENGTHS, VELOCITIES)
        assert np.all(np.diff(force(model, activation, *grid, beta), axis=0) >= -1e-15)


@EVERY
def test_isometric_force_at_optimal_length_is_what_the_curves_declare(model: Curves) -> None:
    whole = model.value("active", l=1.0) + model.value("passive", l=1.0)
    whole += model.value("compression", l=1.0) if model.compression else 0.0
    assert whole == pytest.approx(model.isometric, abs=1e-7)
    assert force(model, 1.0, np.float64(1.0), np.float64(0.0)) == pytest.approx(whole, abs=1e-6)


@EVERY
def test_force_velocity_passes_through_its_defining_points(model: Curves) -> None:
    for velocity, factor in model.points:
        found = model.value("velocity", v=velocity, V=velocity, a=1.0, l=1.0)
        assert found == pytest.approx(factor, abs=1e-12)


@EVERY
def test_the_inverse_inverts_force_velocity(model: Curves) -> None:
    factor = np.linspace(0.05, 1.3, 26)
    for a in (0.2, 1.0):
        for length in (0.8, 1.0, 1.2):
            v = model.value("inverse", f=factor, a=a, l=length)
            assert np.all(np.diff(v) > 0)
            back = model.value("velocity", v=v, V=v, a=a, l=length)
            assert back == pytest.approx(factor, abs=1e-12)


@EVERY
def test_a_slope_is_the_derivative_of_force_velocity(model: Curves) -> None:
    if model.slope:
        v, h = np.linspace(-1, 1, 21), 1e-6
        change = model.value("velocity", v=v + h) - model.value("velocity", v=v - h)
        assert model.value("slope", v=v) == pytest.approx(change / (2 * h), rel=1e-8)


@EVERY
def test_passive_force_rises_and_stays_finite(model: Curves) -> None:
    passive = model.value("passive", l=np.linspace(0.3, 10, 98))
    assert np.all(np.diff(passive) >= 0)
    assert np.all(np.isfinite(passive))


@EVERY
def test_the_floor_of_the_length_costs_nothing_where_fibres_live(model: Curves) -> None:
    length = np.linspace(0.5, 1.5, 101)
    whole = model.value("active", l=length) + model.value("passive", l=length)
    if not model.compression:
        assert force(model, 1.0, length, 0.0) == pytest.approx(whole, abs=3e-6)


@EVERY
def test_every_constant_is_used_and_every_name_known(model: Curves) -> None:
    texts = " ".join(
        [model.active, model.velocity, model.inverse, model.slope, model.passive, model.compression]
    )
    assert set(model.constants) <= set(re.findall(r"\w+", texts))
    code = contraction(model, "rigid", False, True)
    for line in code.strip().splitlines():
        Equations(f"x = {line.partition(' = ')[2]} : 1")


@EVERY
def test_the_source_is_told(model: Curves) -> None:
    assert re.search(r"Source: .*\d{4}.*doi:10\.\d+/\S+", model.source, re.DOTALL)
    assert "Differs from it:" in model.source


def test_degroote_has_the_values_of_opensim() -> None:
    """Class DeGrooteFregly2016Muscle of OpenSim 4, printed to five digits."""
    model = curves["degroote"]
    active = model.value("active", l=np.array([0.5, 0.9, 1.0, 1.1, 1.5]))
    assert active == pytest.approx([0.05411, 0.93712, 1.0, 0.95316, 0.22615], abs=5e-6)
    velocity = model.value("velocity", v=np.array([-0.5, -0.25, -0.1, 0.1, 0.5]))
    assert velocity == pytest.approx([0.23404, 0.47083, 0.74517, 1.20651, 1.58842], abs=5e-6)
    passive = model.value("passive", l=np.array([1.0, 1.2, 1.6]))
    assert passive == pytest.approx([0.01823, 0.06940, 1.0], abs=5e-6)


def test_thelen_has_the_values_of_its_closed_form() -> None:
    """At -5, -2, -1, -0.1, 0.1, 1 and 5 optimal lengths a second, of 10."""
    v = np.array([-5, -2, -1, -0.1, 0.1, 1, 5]) / 10
    found = curves["thelen"].value("velocity", v=v, a=1.0, l=1.0)
    assert found == pytest.approx([1 / 6, 4 / 9, 9 / 14, 0.9519, 1.08, 9 / 7, 1.3704], abs=5e-5)


def test_kistemaker_shortens_at_b_over_a_and_is_twice_as_steep_in_lengthening() -> None:
    model, h = curves["kistemaker"], 1e-7
    at = {V: model.value("velocity", V=V, a=1.0, l=1.0) for V in (-h, 0.0, h)}
    assert (at[h] - at[0.0]) / (at[0.0] - at[-h]) == pytest.approx(2, abs=1e-5)
    assert model.value("velocity", V=1e9, a=1.0, l=1.0) == pytest.approx(1.5)


def test_degroote_agrees_with_sympy() -> None:
    """An implementation of the same paper by others, with OpenSim's constants."""
    model, x = curves["degroote"], sympy.Symbol("x")
    names = ["b11", "b21", "b31", "b41", "b12", "b22", "b32", "b42", "b13", "b23", "b33"]
    constants = [*(model.constants[name] for name in names), 0.0]
    active = biomechanics.FiberForceLengthActiveDeGroote2016(x, *constants).doit()
    length = np.linspace(0.3, 1.7, 57)
    found = sympy.lambdify(x, active)(length)
    assert model.value("active", l=length) == pytest.approx(found, abs=1e-13)
    d = [model.constants[f"d{k}"] for k in (1, 2, 3, 4)]
    factor = biomechanics.FiberForceVelocityDeGroote2016(x, *d).doit()
    assert model.value("velocity", v=VELOCITIES) == pytest.approx(
        sympy.lambdify(x, factor)(VELOCITIES), abs=1e-13
    )
    inverse = biomechanics.FiberForceVelocityInverseDeGroote2016(x, *d).doit()
    f = np.linspace(0.1, 1.6, 16)
    assert model.value("inverse", f=f) == pytest.approx(sympy.lambdify(x, inverse)(f), abs=1e-13)


def test_an_unknown_curve_or_variant_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'degroote'"):
        curves["degrote"]
    with pytest.raises(UnknownName, match="Did you mean 'arm26'"):
        curves["thelen"].variant("arm28")


@pytest.mark.parametrize("text", ["__import__('os')", "(1).real", "[1]", "open(x)", "y + 1"])
def test_a_text_is_read_and_not_run(text: str) -> None:
    with pytest.raises(DomainError, match="which has no value here"):
        evaluate(text, {"x": 1.0})
