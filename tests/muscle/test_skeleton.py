"""Skeletons: mass matrix, energy, limits, the hand, and what acts on it."""

import numpy as np
import pytest
from bodies import one_muscle, run_free
from brian2 import Network, TimedArray, kgram, meter, metre, ms, second
from brian2.units.allunits import newton

from mirrorneuron.muscle import energy, plants
from mirrorneuron.muscle.skeleton import ORDERS, TwoJoints

NIJHOF, ELBOW = plants["arm26_nijhof"], plants["elbow_pair"]
NEWTON_METRE = newton * metre


def test_the_mass_matrix_is_that_of_the_paper() -> None:
    """Nijhof's arm stretched out, and its coefficients A, B and D [kg m^2]."""
    values = NIJHOF.skeleton.values()
    assert [values[n][0] for n in "ABD"] == pytest.approx([0.31664, 0.07291, 0.09593], abs=5e-6)
    matrix = NIJHOF.skeleton.mass_matrix(np.array([0.0, 0.0]))
    assert matrix[0, 0] == pytest.approx(0.46246, abs=5e-6)
    assert 1 / np.linalg.inv(matrix)[1, 1] == pytest.approx(0.0343, abs=5e-5)


def test_the_hand_is_where_the_angles_put_it() -> None:
    assert isinstance(NIJHOF.skeleton, TwoJoints)
    assert NIJHOF.skeleton.hand([0.5, 1.0]) == pytest.approx([0.29473, 0.48031], abs=5e-6)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("name", "gravity", "velocity"),
    [("arm26_nijhof", False, [2, -3]), ("arm26_nijhof", True, [2, -3]), ("elbow_pair", True, [2])],
)
def test_energy_is_conserved_to_the_declared_order(
    name: str, gravity: bool, velocity: list[float], order: str
) -> None:
    plant = plants[name]
    angle = [0.7, 1.2][: len(velocity)]
    before = energy(plant.skeleton, angle, velocity, gravity)
    drift = []
    for dt in (2.0, 1.0, 0.5):
        settings = {"order": order, "gravity": gravity, "angle": angle}
        q, w = run_free(plant, dt, velocity=velocity / second, **settings)
        drift.append(abs(energy(plant.skeleton, q, w, gravity) - before))
    assert np.log2(np.array(drift[:-1]) / drift[1:]) == pytest.approx(ORDERS[order], abs=0.1)
    assert drift[1] < 0.01 * abs(before)


def test_a_constant_torque_accelerates_both_joints_by_the_mass_matrix() -> None:
    body = one_muscle(NIJHOF, load=[1.0, -0.5] * NEWTON_METRE)
    body.muscles.F0 = 0 * newton
    Network(*body.objects).run(1 * ms)
    matrix = NIJHOF.skeleton.mass_matrix(np.array([0.7, 1.2]))
    expected = np.linalg.solve(matrix, [1.0, -0.5]) * 1e-3
    assert np.asarray(body.joints.velocity_[:]) == pytest.approx(expected, rel=1e-10)


def test_coriolis_torque_is_that_of_the_equations() -> None:
    body = one_muscle(NIJHOF, velocity=[2.0, -3.0] / second)
    body.muscles.F0, body.joints.viscosity = 0 * newton, 0 * newton * metre * second
    Network(*body.objects).run(1 * ms)
    b = NIJHOF.skeleton.values()["B"][0] * np.sin(1.2)
    expected = [b * -3.0 * (2 * 2.0 - 3.0), -b * 4.0]
    assert np.asarray(body.joints.torque_[:]) == pytest.approx(expected, rel=1e-10)


def test_gravity_is_the_slope_of_the_potential() -> None:
    body = one_muscle(NIJHOF, gravity=True)
    body.muscles.F0 = 0 * newton
    Network(*body.objects).run(1 * ms)
    h = 1e-6
    slope = [
        NIJHOF.skeleton.potential([0.7 + h * a, 1.2 + h * b])
        - NIJHOF.skeleton.potential([0.7 - h * a, 1.2 - h * b])
        for a, b in ((1, 0), (0, 1))
    ]
    assert np.asarray(body.joints.torque_[:]) == pytest.approx(-np.array(slope) / 2e-6, rel=1e-7)


def test_the_uncontrolled_forearm_falls_from_its_upright() -> None:
    body = one_muscle(ELBOW)
    Network(*body.objects).run(1 * second)
    assert abs(body.joints.angle[0]) > 0.1


@pytest.mark.parametrize("name", plants)
def test_soft_limits_hold_the_strongest_muscles(name: str) -> None:
    body = one_muscle(plants[name])
    body.muscles.excitation = np.arange(len(body.muscles)) % 2
    Network(*body.objects).run(500 * ms)
    beyond = np.maximum(
        body.joints.angle - body.joints.upper, body.joints.lower - body.joints.angle
    )
    assert np.max(beyond) < 0.3


def test_a_load_follows_a_timed_array_of_time_and_joint() -> None:
    table = TimedArray([[1.0, 0.0], [0.0, 2.0]] * NEWTON_METRE, dt=1 * ms)
    body = one_muscle(NIJHOF, load=table)
    Network(*body.objects).run(1 * ms)
    assert np.asarray(body.joints.load_[:]) == pytest.approx([1.0, 0.0])
    single = one_muscle(ELBOW, load=TimedArray([3.0] * NEWTON_METRE, dt=1 * ms))
    Network(*single.objects).run(1 * ms)
    assert np.asarray(single.joints.load_[:]) == pytest.approx([3.0])


def test_a_force_on_the_hand_acts_through_the_jacobian() -> None:
    body = one_muscle(NIJHOF, hand=True)
    free = one_muscle(NIJHOF)
    assert body.hand is not None
    body.hand.force_x, body.hand.force_y = 2 * newton, -1 * newton
    for each in (body, free):
        Network(*each.objects).run(1 * ms)
    h, place = 1e-6, NIJHOF.skeleton.hand
    jacobian = np.array(
        [
            (place([0.7 + h * a, 1.2 + h * b]) - place([0.7 - h * a, 1.2 - h * b])) / (2 * h)
            for a, b in ((1, 0), (0, 1))
        ]
    )
    found = np.asarray(body.joints.torque_[:]) - np.asarray(free.joints.torque_[:])
    assert found == pytest.approx(jacobian @ [2.0, -1.0], rel=1e-7)
    assert np.array([body.hand.x_[0], body.hand.y_[0]]) == pytest.approx(place([0.7, 1.2]))


def test_a_curl_field_pushes_across_the_movement() -> None:
    body = one_muscle(NIJHOF, hand=True, velocity=[1.0, 0.5] / second)
    assert body.hand is not None
    body.hand.field_xy = 13 * newton * second / metre
    body.hand.field_yx = -13 * newton * second / metre
    Network(*body.objects).run(1 * ms)
    hand = body.hand
    assert hand.total_x_[0] == pytest.approx(13 * hand.velocity_y_[0])
    assert hand.total_y_[0] == pytest.approx(-13 * hand.velocity_x_[0])
    assert abs(hand.velocity_x_[0]) > 0.1


def test_inertia_can_be_changed_after_building() -> None:
    body = one_muscle(ELBOW, load=1 * NEWTON_METRE)
    body.muscles.F0, body.joints.inertia = 0 * newton, 0.5 * kgram * meter**2
    Network(*body.objects).run(1 * ms)
    assert body.joints.velocity_[0] == pytest.approx(2e-3, rel=1e-3)
