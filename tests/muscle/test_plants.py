"""Laws of the plants: each holds for every file in `muscle/plants/`."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bodies import one_muscle
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import mirrorneuron as mn
from mirrorneuron.bridge.validate import compare
from mirrorneuron.muscle import Plant, curves, plants
from mirrorneuron.muscle.skeleton import ORDERS

EVERY = pytest.mark.parametrize("plant", plants.values(), ids=plants)
SETTINGS = {
    **{name: (name, {}) for name in plants},
    **{f"nijhof-{c}": ("arm26_nijhof", {"curves": c}) for c in curves if c != "degroote"},
    "nijhof-gravity-hand": ("arm26_nijhof", {"gravity": True, "hand": True}),
    "nijhof-explicit": ("arm26_nijhof", {"order": "explicit", "activation": "thelen"}),
    "nijhof-compliant": ("arm26_nijhof", {"tendon": "compliant"}),
    "osim26-compliant": ("upper_limb_osim26", {"tendon": "compliant", "curves": "degroote"}),
}
EVERY_SETTING = pytest.mark.parametrize(("name", "settings"), SETTINGS.values(), ids=SETTINGS)


@EVERY
def test_a_moment_arm_is_the_negative_slope_of_its_path(plant: Plant) -> None:
    numbers, h = one_muscle(plant).numbers(), 1e-5
    angles = numbers.angles(25)
    for joint in range(len(plant.joints)):
        step = h * np.eye(len(plant.joints))[joint]
        slope = numbers.path_length(angles + step) - numbers.path_length(angles - step)
        arm = numbers.moment_arms(angles)[..., joint]
        assert np.max(np.abs(arm + slope / (2 * h))) < 1e-9


@EVERY
def test_the_network_has_the_geometry_of_the_numbers(plant: Plant) -> None:
    velocity = np.linspace(0.5, -0.5, len(plant.joints))
    body = one_muscle(plant)
    body.joints.velocity_ = velocity
    numbers = body.numbers()
    Network(*body.objects).run(1 * ms)
    angle = numbers.joints["angle"]
    assert body.muscles.L_ref_ - body.muscles.excursion_ == pytest.approx(
        numbers.path_length(angle)[0], abs=1e-15
    )
    assert np.asarray(body.muscles.excursion_rate_[:]) == pytest.approx(
        numbers.moment_arms(angle)[0] @ velocity, abs=1e-15
    )
    force, arms = np.asarray(body.muscles.force_[:]), numbers.moment_arms(angle)[0]
    assert np.asarray(body.joints.muscle_torque_[:]) == pytest.approx(force @ arms, rel=1e-12)


@EVERY
def test_every_fibre_has_a_length_within_the_range_of_the_joints(plant: Plant) -> None:
    numbers = one_muscle(plant).numbers()
    along = numbers.along(numbers.angles(25))
    assert along.min() > 0.25
    assert along.max() < 1.6


@EVERY
def test_flexors_flex_and_extensors_extend(plant: Plant) -> None:
    for name, muscle in plant.muscles.items():
        for joint in muscle.arms:
            angles = np.linspace(plant.joints[joint].lower, plant.joints[joint].upper, 50)
            arm = np.polynomial.polynomial.polyval(angles, muscle.arms[joint])
            extends = any(word in name for word in ("extensor", "triceps", "deltoid"))
            assert np.all(arm < 0 if extends else arm > 0), name


@EVERY
def test_the_source_is_told(plant: Plant) -> None:
    assert re.search(r"Source: .*\d{4}.*(doi:10\.\d+/\S+)", plant.source, re.DOTALL)
    assert "Differs from it:" in plant.source
    assert plants[plant.name] is plant


@EVERY_SETTING
def test_a_plant_mirrors_to_the_last_bit(name: str, settings: dict[str, object]) -> None:
    body = one_muscle(plants[name], **settings)
    body.muscles.excitation = np.linspace(0.6, 0.0, len(body.muscles))
    network = Network(*body.objects)
    model = mn.mirror(network, dtype=torch.float64)
    assert model.report.is_faithful
    evidence = compare(network, model, 100 * body.muscles.clock.dt, {})
    wrong = {key: worst for key, worst in evidence.locked.items() if worst.error > 0}
    assert not wrong


STEPS = 120


def patterns(n: int) -> torch.Tensor:
    """Excitations: none, a trace, some, half, all, each muscle alone, every other one."""
    levels = [np.full(n, level) for level in (0.0, 0.001, 0.1, 0.5, 1.0)]
    return torch.tensor(np.array([*levels, *np.eye(n), np.arange(n) % 2, 1 - np.arange(n) % 2]))


@EVERY_SETTING
def test_gradients_are_finite_and_alive_up_to_the_limits(
    name: str, settings: dict[str, object]
) -> None:
    body = one_muscle(plants[name], **settings)
    model = mn.mirror(Network(*body.objects), dtype=torch.float64)
    excitation = patterns(len(body.muscles)).repeat(STEPS, 1, 1).requires_grad_()
    state = model.initial_state(excitation.shape[1])
    if body.design.tendon == "rigid":  # a compliant one would start far from its equilibrium
        edges = torch.tensor(np.stack([body.joints.lower[:], body.joints.upper[:]]))
        state["joints.angle"] = edges[torch.arange(excitation.shape[1]) % 2].clone()
    run = model.run_steps(STEPS, {"muscles.excitation": excitation}, state=state)
    run.state["joints.angle"].square().sum().backward()
    assert excitation.grad is not None
    assert torch.isfinite(excitation.grad).all()
    dead = (excitation.grad == 0).double().mean((0, 2))
    assert dead.max() < 0.01, dead


def test_gradients_equal_central_differences() -> None:
    body = one_muscle(plants["arm26_nijhof"])
    body.muscles.excitation = np.linspace(0.6, 0.1, 6)
    network = Network(*body.objects)
    keys = ["muscles.F0", "muscles.L0", "muscles.L_ref", "muscles.excitation", "joints.A"]
    model = mn.mirror(network, train=keys, dtype=torch.float64)

    def outcome() -> torch.Tensor:
        return model.run(100 * ms).state["joints.angle"].square().sum()

    outcome().backward()
    for key in keys:
        parameter = model.parameter(key)
        assert parameter.grad is not None
        step = 1e-5 * float(parameter.detach().abs().max())
        with torch.no_grad():
            value = parameter[0].clone()
            sides = []
            for sign in (1, -1):
                parameter[0] = value + sign * step
                sides.append(float(outcome()))
            parameter[0] = value
        difference = (sides[0] - sides[1]) / (2 * step)
        assert float(parameter.grad[0]) == pytest.approx(difference, rel=1e-5), key


def test_brian2_and_the_mirror_agree_on_a_thousand_steps_of_the_arm() -> None:
    body = one_muscle(plants["arm26_nijhof"])
    body.muscles.excitation = np.linspace(0.05, 0.6, 6)
    network = Network(*body.objects)
    model = mn.mirror(network, dtype=torch.float64)
    with torch.no_grad():
        state = model.run(1000 * ms).state
    network.run(1000 * ms)
    for group, variable in [("joints", "angle"), ("joints", "velocity"), ("muscles", "force")]:
        found = state[f"{group}.{variable}"].numpy().ravel()
        expected = np.asarray(getattr(getattr(body, group), f"{variable}_")[:])
        assert found == pytest.approx(expected, rel=1e-12)


STANDALONE = """
import sys
import numpy as np
from brian2 import BrianLogger, Network, device, ms, set_device
BrianLogger.log_level_error()
set_device("cpp_standalone", directory=sys.argv[1], build_on_run=False)
from mirrorneuron.muscle import plants
body = plants["arm26_nijhof"].build(2, excitation="input", dt=1 * ms, hand=True)
body.muscles.excitation = np.linspace(0.05, 0.6, 12)
Network(*body.objects).run(1000 * ms)
device.build(directory=sys.argv[1], compile=True, run=True)
np.savez(sys.argv[2], angle=body.joints.angle[:], force=body.muscles.force_[:], x=body.hand.x_[:])
"""


@pytest.mark.slow
def test_cpp_standalone_and_the_mirror_agree_on_a_thousand_steps(tmp_path: Path) -> None:
    found = tmp_path / "found.npz"
    subprocess.run(
        [sys.executable, "-c", STANDALONE, str(tmp_path / "build"), str(found)], check=True
    )
    body = one_muscle(plants["arm26_nijhof"], batch=2, hand=True)
    body.muscles.excitation = np.linspace(0.05, 0.6, 12)
    model = mn.mirror(Network(*body.objects), dtype=torch.float64)
    with torch.no_grad():
        state = model.run(1000 * ms).state
    with np.load(found) as standalone:
        for key, name in [("joints.angle", "angle"), ("muscles.force", "force"), ("hand.x", "x")]:
            assert standalone[name] == pytest.approx(state[key].numpy().ravel(), rel=1e-12)


def test_a_batch_is_as_many_arms() -> None:
    batch = one_muscle(plants["arm26_nijhof"], batch=2, angle=[[0.5, 1.0], [0.9, 1.4]])
    batch.muscles.excitation = np.linspace(0.0, 0.5, 12)
    Network(*batch.objects).run(50 * ms)
    for k, angle in enumerate([[0.5, 1.0], [0.9, 1.4]]):
        alone = one_muscle(plants["arm26_nijhof"], angle=angle)
        alone.muscles.excitation = np.linspace(0.0, 0.5, 12)[6 * k : 6 * k + 6]
        Network(*alone.objects).run(50 * ms)
        assert np.array_equal(batch.joints.angle[2 * k : 2 * k + 2], alone.joints.angle[:])


@pytest.mark.parametrize(("order", "steps"), [("semi-implicit", 2), ("explicit", 3)])
def test_a_spike_reaches_the_angle_after_as_many_steps(order: str, steps: int) -> None:
    moved = {}
    for weight in (0.0, 1.0):
        spike = SpikeGeneratorGroup(1, [0], [0] * ms, dt=1 * ms)
        body = plants["elbow_pair"].build(order=order, dt=1 * ms)
        synapse = Synapses(spike, body.muscles, on_pre=f"u_post += {weight}", dt=1 * ms)
        synapse.connect(j="0")
        network, trace = Network(spike, synapse, *body.objects), []
        for _ in range(5):
            network.run(1 * ms)
            trace.append(float(body.joints.angle[0]))
        moved[weight] = np.array(trace)
    assert set(ORDERS) == {"semi-implicit", "explicit"}
    assert int(np.argmax(moved[1.0] != moved[0.0])) == steps


def test_excitation_from_spikes_stays_between_0_and_1_under_any_weight() -> None:
    body = plants["elbow_pair"].build(dt=1 * ms)
    body.muscles.u = [500, -500]
    Network(*body.objects).run(30 * ms)
    excitation = np.asarray(body.muscles.excitation[:])
    assert np.all((excitation >= 0) & (excitation <= 1))
    assert excitation[0] > 0.99
    assert excitation[1] < 1e-6
    assert np.all(body.muscles.activation[:] >= 0)


def test_two_bodies_live_in_one_network() -> None:
    left, right = (plants["elbow_pair"].build(name=n, dt=1 * ms) for n in ("left_", "right_"))
    Network(*left.objects, *right.objects).run(2 * ms)
    assert left.muscles.name == "left_muscles"
    assert isinstance(right.joints, NeuronGroup)


def test_the_tables_give_the_lengths_and_arms_of_the_paper() -> None:
    """Nijhof's arm at 0.7 and 1.2 rad; OpenSim's elbow at 90 degrees."""
    numbers = one_muscle(plants["arm26_nijhof"], angle=[0.7, 1.2]).numbers()
    angle = numbers.joints["angle"]
    paths = [0.1771, 0.2061, 0.2633, 0.2623, 0.3316, 0.3042]
    assert numbers.path_length(angle)[0] == pytest.approx(paths, abs=5e-5)
    lengths = [1.031, 1.001, 0.993, 0.810, 0.932, 0.686]
    assert numbers.along(angle)[0] == pytest.approx(lengths, abs=5e-4)
    elbow = [0, 0, 0.0236, -0.0197, 0.0297, -0.0223]
    assert numbers.moment_arms(angle)[0, :, 1] == pytest.approx(elbow, abs=5e-5)
    numbers = one_muscle(plants["upper_limb_osim26"], angle=[np.pi / 2]).numbers()
    m, angle = numbers.muscles, numbers.joints["angle"]
    lengths = np.hypot(numbers.along(angle), np.sin(m["pennation"]))[0]
    assert lengths == pytest.approx([1.280, 0.921, 0.876, 0.876, 0.745, 0.803], abs=2e-2)
    cosine = numbers.along(angle)[0] / lengths
    torque = m["F0"][0] * numbers.moment_arms(angle)[0, :, 0] * cosine
    assert torque == pytest.approx([-15.7, -12.3, -12.3, 30.4, 21.2, 22.4], rel=0.03)


def test_the_strength_of_the_elbow_pair_is_as_documented() -> None:
    """Passive stiffness 1.26 N m/rad at a neutral length of 0.90, below the 2.31 of gravity."""
    plant, h = plants["elbow_pair"], 1e-4
    torque = []
    for angle in (-h, h):
        body = one_muscle(plant, angle=angle, gravity=False)
        body.muscles.activation = 0
        Network(*body.objects).run(1 * ms)
        torque.append(body.joints.muscle_torque_[0])
    assert (torque[0] - torque[1]) / (2 * h) == pytest.approx(1.26, abs=0.01)
