"""Bad input: refused by name, before the first step."""

from dataclasses import replace

import numpy as np
import pytest
from bodies import one_muscle
from brian2 import Network, TimedArray, kgram, meter, ms, mV, nan, second
from brian2.units.allunits import newton

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, NumericalError, ShapeError, UnitError, UnknownName
from mirrorneuron.muscle import OneJoint, plants

ELBOW, NIJHOF = plants["elbow_pair"], plants["arm26_nijhof"]


def with_flexor(**values: object) -> mn.muscle.Plant:
    muscles = {**ELBOW.muscles, "flexor": replace(ELBOW.muscles["flexor"], **values)}
    return replace(ELBOW, muscles=muscles)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"excitation": "spike"},
            r"build\(\): excitation='spike' is not known\. Did you mean 'spi",
        ),
        ({"tendon": "elastic"}, r"build\(\): tendon='elastic' is not known.*'compliant', 'rigid'"),
        ({"order": "implicit"}, r"order='implicit' is not known\. Did you mean"),
        ({"curves": "hill"}, r"curves\['hill'\] is not known"),
        ({"activation": "thelem"}, r"activations\['thelem'\].*Did you mean 'thelen'"),
    ],
)
def test_an_unknown_choice_is_answered_with_what_is_known(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UnknownName, match=message):
        ELBOW.build(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"load": 1 * newton}, r"build\(\): load is .* but has to be in \[m\^2 kg s\^-2\]"),
        ({"angle": 20 * mV}, r"build\(\): angle is .*in \[V\], but has to be in \[1\]"),
        ({"velocity": 1.0}, r"build\(\): velocity is 1\.0, a plain number"),
        ({"dt": 1 * mV}, r"build\(\): dt is .*in \[V\]"),
        ({"load": TimedArray([1.0] * newton, dt=1 * ms)}, r"load is a TimedArray in \[N\]"),
    ],
)
def test_a_wrong_unit_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UnitError, match=message):
        ELBOW.build(**settings)


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"angle has the shape \(3,\).*the shape is \(1, 2\)"):
        NIJHOF.build(angle=[0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"angle": nan}, r"build\(\): angle=nan is not finite\. It would spread"),
        ({"velocity": np.inf / second}, r"velocity=.* is not finite"),
        ({"damping": nan}, r"damping=nan is not finite"),
        ({"damping": -0.1}, r"muscle 'flexor': beta is -0\.1, and has to be >= 0"),
        ({"angle": 1.5}, r"joint 'elbow': angle is 1\.5 rad, beyond its range of -1\.2 to 1\.2"),
        ({"batch": 0}, r"build\(0\): 0 arms\. There has to be at least one"),
        ({"dt": 30 * ms}, r"the time step is 30 ms\. The largest safe one is 1\d\.\d+ ms"),
        ({"hand": True}, r"hand=True, but the plant has one joint\. .*'arm26_nijhof'"),
        ({"load": TimedArray([nan] * newton * meter, dt=1 * ms)}, r"load is nan at index 0"),
    ],
)
def test_a_value_without_meaning_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        ELBOW.build(**settings)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"F0": 0.0}, r"muscle 'flexor': F0 is 0, and has to be > 0"),
        ({"L0": -0.1}, r"muscle 'flexor': L0 is -0\.1, and has to be > 0"),
        ({"L_slack": -0.1}, r"muscle 'flexor': L_slack is -0\.1, and has to be >= 0"),
        ({"F0": float("nan")}, r"muscle 'flexor': F0 is nan, and has to be a finite number"),
        ({"pennation": 12.0}, r"pennation is 12, and has to be below 1\.47 rad.*\s+.*in radians"),
        (
            {"L_slack": 0.3},
            r"muscle 'flexor': its path is 0\.22\d+ m long at elbow 1\.2 rad, but its tendon alone"
            r" 0\.3 m\.\s+Nothing is left for the fibre: such a muscle is impossible",
        ),
        (
            {"L_ref": 0.4},
            r"muscle 'flexor': .*\s+The fibre would be 2\.\d+ optimal lengths long, and",
        ),
    ],
)
def test_an_impossible_muscle_is_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        with_flexor(**values).build()


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (replace(ELBOW, tau_a=0.0), r"muscle 'flexor': tau_a is 0, and has to be > 0"),
        (replace(ELBOW, v_max=-10.0), r"muscle 'flexor': v_max is -10"),
        (
            replace(ELBOW, skeleton=OneJoint(inertia=0.0, weight=1.0, upright=0.0)),
            r"joint 'elbow': inertia is 0, and has to be > 0",
        ),
        (
            replace(ELBOW, joints={"elbow": replace(ELBOW.joints["elbow"], upper=-2.0)}),
            r"joint 'elbow': its range is -1\.2 to -2 rad\.\s+A range has to rise",
        ),
    ],
)
def test_an_impossible_plant_is_refused(plant: mn.muscle.Plant, message: str) -> None:
    with pytest.raises(DomainError, match=message):
        plant.build()


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(DomainError) as caught:
        replace(with_flexor(F0=-1.0, L0=0.0), tau_d=0.0).build(load=0 * newton * meter)
    told = str(caught.value)
    assert told.startswith("plants['elbow_pair'].build(): 3 values cannot be used.\n\n")
    for fault in ("F0 is -1", "L0 is 0", "tau_d is 0"):
        assert fault in told


def test_values_set_after_building_are_checked_on_request() -> None:
    body = one_muscle(ELBOW)
    body.check()
    body.muscles.excitation = [0.5, nan]
    with pytest.raises(
        DomainError,
        match=r"check\(\): 1 value cannot be used\.\s+muscle 'extensor': excitation is nan, and",
    ):
        body.check()
    body.muscles.excitation = [1.5, 0.5]
    with pytest.raises(DomainError, match=r"'flexor': excitation is 1\.5, and has to be between 0"):
        body.check()
    body.muscles.excitation = 0.5
    body.joints.angle = 2
    with pytest.raises(DomainError, match=r"joint 'elbow': angle is 2 rad, beyond its range"):
        body.check()
    body.joints.angle, body.muscles.F0 = 0, 1e6 * newton
    with pytest.raises(
        DomainError, match=r"The largest safe one is 0\.\d+ ms, because of the damp"
    ):
        body.check()


def test_a_lighter_arm_is_checked_with_its_own_inertia() -> None:
    body = one_muscle(ELBOW)
    body.joints.inertia = 1e-4 * kgram * meter**2
    with pytest.raises(DomainError, match=r"The largest safe one is 0\.\d+ ms"):
        body.check()


def test_a_nan_excitation_is_refused_by_the_mirror() -> None:
    body = one_muscle(ELBOW)
    body.muscles.excitation = [0.5, nan]
    with pytest.raises(DomainError, match=r"muscles\.excitation is nan at index 1"):
        mn.mirror(Network(*body.objects))
    model = mn.mirror(Network(*one_muscle(ELBOW).objects))
    with pytest.raises(DomainError, match=r"muscles\.excitation.* is nan at"):
        model.run(2 * ms, {"muscles.excitation": np.full((2, 1, 2), np.nan)})


def test_a_state_that_blows_up_is_told_by_the_mirror() -> None:
    body = one_muscle(ELBOW)
    model = mn.mirror(Network(*body.objects))
    state = model.initial_state()
    state["joints.velocity"] = state["joints.velocity"] + float("inf")
    with pytest.raises(NumericalError):
        model.run(5 * ms, state=state)


@pytest.mark.parametrize("value", [nan, float("inf")])
@pytest.mark.parametrize("field", ["v_max", "tau_a", "tau_d", "tau_e"])
def test_a_number_of_a_plant_that_is_not_finite_is_refused(field: str, value: float) -> None:
    with pytest.raises(DomainError, match=rf"{field} is (nan|inf), and"):
        replace(ELBOW, **{field: value}).build()


@pytest.mark.parametrize("field", ["lower", "upper", "viscosity", "wall_stiffness", "wall_width"])
def test_a_number_of_a_joint_that_is_not_finite_is_refused(field: str) -> None:
    joint = replace(ELBOW.joints["elbow"], **{field: nan})
    with pytest.raises(DomainError, match=rf"joint 'elbow': {field} is nan, and has to be"):
        replace(ELBOW, joints={"elbow": joint}).build()


@pytest.mark.parametrize("field", ["cross_viscosity"])
def test_a_number_of_a_skeleton_that_is_not_finite_is_refused(field: str) -> None:
    skeleton = replace(NIJHOF.skeleton, **{field: nan})
    with pytest.raises(DomainError, match=rf"{field} is nan, and has to be"):
        replace(NIJHOF, skeleton=skeleton).build()
