"""An optional oracle: OpenSim's own muscles, where `pip install opensim` brought them."""

from typing import Any

import numpy as np
import pytest

from mirrorneuron.muscle import curves
from mirrorneuron.muscle._expression import execute
from mirrorneuron.muscle.contraction import contraction

opensim: Any = pytest.importorskip("opensim", reason="opensim is not installed")
SLACK, OPTIMAL, FASTEST = 0.2, 0.1, 10.0
STATES = [(1.0, 0.0, 1.0), (1.1, -0.3, 0.5), (1.1, 0.3, 0.5), (0.8, -0.8, 0.2), (1.4, 0.1, 0.7)]


class Slide:
    """A muscle of OpenSim between the ground and a body on a slide."""

    def __init__(self, kind: str, **settings: Any) -> None:
        self.model = opensim.Model()
        ground = self.model.getGround()
        body = opensim.Body("body", 1.0, opensim.Vec3(0), opensim.Inertia(1))
        self.model.addBody(body)
        joint = opensim.SliderJoint("slide", ground, body)
        self.model.addJoint(joint)
        self.place = joint.updCoordinate()
        self.muscle = getattr(opensim, kind)()
        settings |= {
            "max_isometric_force": 1.0, "optimal_fiber_length": OPTIMAL,
            "tendon_slack_length": SLACK, "max_contraction_velocity": FASTEST,
            "pennation_angle_at_optimal": 0.0,
        }  # fmt: skip
        for name, value in settings.items():
            getattr(self.muscle, f"set_{name}")(value)
        self.muscle.setName("muscle")
        self.muscle.addNewPathPoint("origin", ground, opensim.Vec3(0))
        self.muscle.addNewPathPoint("insertion", body, opensim.Vec3(0))
        self.model.addForce(self.muscle)
        self.model.finalizeConnections()
        self.state = self.model.initSystem()

    def set(self, length: float, velocity: float, activation: float) -> None:
        """Put the ends as far apart as a rigid tendon and a fibre of this length reach."""
        self.place.setValue(self.state, SLACK + OPTIMAL * length)
        self.place.setSpeedValue(self.state, velocity * OPTIMAL * FASTEST)
        self.muscle.setActivation(self.state, activation)


@pytest.mark.parametrize(("length", "velocity", "activation"), STATES)
def test_a_rigid_muscle_pulls_as_in_opensim(
    length: float, velocity: float, activation: float
) -> None:
    slide = Slide(
        "DeGrooteFregly2016Muscle", ignore_tendon_compliance=True, fiber_damping=0.0,
        ignore_activation_dynamics=True,
    )  # fmt: skip
    slide.set(length, velocity, activation)
    slide.model.realizeDynamics(slide.state)
    rest = {"F0": 1.0, "L0": OPTIMAL, "L_slack": SLACK, "L_ref": 0.0, "v_max": FASTEST, "beta": 0.0}
    ends, speed = SLACK + OPTIMAL * length, velocity * OPTIMAL * FASTEST
    given = {"activation": activation, "excursion": -ends, "excursion_rate": -speed}
    ours = execute(contraction(curves["degroote"], "rigid", False, False), {**rest, **given})
    assert ours["force"] == pytest.approx(slide.muscle.getActuation(slide.state), abs=3e-6)


@pytest.mark.parametrize(("length", "activation"), [(1.0, 1.0), (1.3, 0.5), (0.8, 0.2)])
def test_thelens_curves_are_those_of_opensim(length: float, activation: float) -> None:
    slide = Slide("Thelen2003Muscle")
    slide.set(length, 0.0, activation)
    slide.muscle.computeEquilibrium(slide.state)
    slide.model.realizeDynamics(slide.state)
    seen = slide.muscle.getNormalizedFiberLength(slide.state)
    for curve, theirs in (
        ("active", slide.muscle.getActiveForceLengthMultiplier(slide.state)),
        ("passive", slide.muscle.getPassiveForceMultiplier(slide.state)),
    ):
        assert curves["thelen"].value(curve, l=seen) == pytest.approx(theirs, abs=1e-12)


def test_curves_of_degroote_are_those_of_opensim() -> None:
    muscle, model = opensim.DeGrooteFregly2016Muscle(), curves["degroote"]
    length, velocity = np.linspace(0.3, 1.7, 29), np.linspace(-1, 1, 21)
    for curve, grid, name, theirs in (
        ("active", length, "l", muscle.calcActiveForceLengthMultiplier),
        ("passive", length, "l", muscle.calcPassiveForceMultiplier),
        ("velocity", velocity, "v", muscle.calcForceVelocityMultiplier),
        ("inverse", np.linspace(0.1, 1.6, 16), "f", muscle.calcForceVelocityInverseCurve),
    ):
        found = [theirs(float(x)) for x in grid]
        assert model.value(curve, **{name: grid}) == pytest.approx(found, abs=1e-12), curve
