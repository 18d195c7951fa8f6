"""The compliant tendon: equilibrium, accuracy, and the step that it needs."""

from dataclasses import replace

import numpy as np
import pytest
from bodies import one_muscle
from brian2 import Network, defaultclock, ms

from mirrorneuron.errors import DomainError
from mirrorneuron.muscle import Body, curves, plants
from mirrorneuron.muscle.contraction import TENDON_STIFFNESS

NIJHOF = plants["arm26_nijhof"]


def frozen(plant: str, **settings: object) -> Body:
    """A body whose bones are too heavy to move."""
    chosen = plants[plant]
    skeleton = replace(chosen.skeleton, inertia=_heavy(chosen.skeleton.inertia))
    return replace(chosen, skeleton=skeleton).build(
        excitation="input", tendon="compliant", curves="degroote", **settings
    )


def _heavy(inertia: object) -> object:
    return (1e9, 1e9) if isinstance(inertia, tuple) else 1e9


def test_the_tendon_has_the_values_of_opensim() -> None:
    """Class DeGrooteFregly2016Muscle, strain 0.049 at maximal force."""
    stretch = np.array([1.01, 1.02, 1.049])
    force = 0.2 * np.exp(TENDON_STIFFNESS * (stretch - 1)) - 0.2
    assert force == pytest.approx([0.08829, 0.21557, 1.0], abs=5e-6)


@pytest.mark.parametrize("name", ["arm26_nijhof", "elbow_pair", "upper_limb_osim26"])
def test_a_body_at_rest_starts_in_equilibrium(name: str) -> None:
    body = frozen(name, dt=0.1 * ms, gravity=False)
    body.muscles.excitation = 0.01
    before = np.array(body.muscles.fiber_length[:])
    Network(*body.objects).run(5 * ms)
    assert np.asarray(body.muscles.fiber_length[:]) == pytest.approx(before, abs=2e-4)
    assert np.all(body.muscles.force_[:] >= 0)


def test_a_held_contraction_ends_where_fibre_and_tendon_balance() -> None:
    body = frozen("arm26_nijhof", dt=0.25 * ms)
    body.muscles.excitation = 0.5
    body.muscles.activation = 0.5
    Network(*body.objects).run(400 * ms)
    length, force = np.array(body.muscles.fiber_length[:]), body.muscles.force_ / body.muscles.F0_
    model = curves["degroote"]
    fibre = 0.5 * model.value("active", l=length) + model.value("passive", l=length)
    assert force == pytest.approx(fibre, abs=1e-3)
    assert np.max(np.abs(body.muscles.fiber_velocity[:])) < 1e-3


def test_half_the_step_halves_the_error_of_a_twitch() -> None:
    forces = {}
    for dt in (0.05, 0.1, 0.2, 0.4):
        body = frozen("arm26_nijhof", dt=dt * ms)
        body.muscles.excitation = 1
        Network(*body.objects).run(20 * ms)
        forces[dt] = np.array(body.muscles.force_ / body.muscles.F0_)
    errors = [np.max(np.abs(forces[dt] - forces[0.05])) for dt in (0.4, 0.2, 0.1)]
    assert errors[0] > 1.6 * errors[1] > 3.2 * errors[2]
    assert errors[1] < 0.02


def test_a_step_above_the_limit_of_the_tendon_is_refused() -> None:
    body = one_muscle(NIJHOF, tendon="compliant")
    assert body.muscles.clock.dt == 0.25 * ms
    with pytest.raises(
        DomainError,
        match=r"time step is 2 ms\. The largest safe one is 1\.09\d ms, because of the compliant"
        r" tendon of 'deltoid'.*\s+Write\s+defaultclock\.dt = 1\.09\d\*ms or less",
    ):
        NIJHOF.build(tendon="compliant", dt=2 * ms)


def test_a_tendon_without_damping_needs_a_tiny_step() -> None:
    with pytest.raises(
        DomainError, match=r"The largest safe one is 0\.\d+ ms, because of the comp"
    ):
        NIJHOF.build(tendon="compliant", damping=0.0, dt=0.25 * ms)


def test_a_stiff_limit_or_a_strong_muscle_needs_a_small_step_too() -> None:
    with pytest.raises(
        DomainError,
        match=r"time step is 20 ms\. The largest safe one is 7\.79\d ms, because of the",
    ):
        NIJHOF.build(dt=20 * ms)
    defaultclock.dt = 20 * ms
    with pytest.raises(DomainError, match=r"time step is 20 ms"):
        NIJHOF.build()


def test_curves_without_a_slope_cannot_stand_on_a_compliant_tendon() -> None:
    with pytest.raises(DomainError, match=r"curves that have no slope.*Write\s+curves='degroote'"):
        NIJHOF.build(tendon="compliant", curves="thelen")


def test_a_muscle_without_a_tendon_cannot_have_a_compliant_one() -> None:
    with pytest.raises(DomainError, match=r"'shoulder_flexor'.*have no tendon: L_slack is 0"):
        plants["arm26_todorov"].build(tendon="compliant", curves="degroote")


def test_a_fibre_without_equilibrium_is_told_by_name() -> None:
    plant = plants["elbow_pair"]
    short = replace(plant.muscles["flexor"], L_ref=0.172 + 0.035)
    plant = replace(plant, muscles={**plant.muscles, "flexor": short})
    with pytest.raises(
        DomainError, match=r"the muscle 'flexor' has no equilibrium\. Its path is 0\.177 m long"
    ):
        plant.build(tendon="compliant", angle=1.2, dt=0.1 * ms)
