"""The parts of the study `arm_posture`: what its loop, its worlds and its controllers promise."""

from typing import Any

import numpy as np
import pytest
import torch
from brian2 import second

from mirrorneuron import mirror, simulate
from mirrorneuron.studies.arm._controller import (
    BONES,
    MUSCLES,
    PLANT,
    balanced,
    controlled,
    feedback,
    regulator,
)
from mirrorneuron.studies.arm._loop import World
from mirrorneuron.studies.arm._posture_report import distance
from mirrorneuron.studies.arm._study import rms_at_end, start
from mirrorneuron.studies.arm.arm_posture import ArmPosture

POSTURE, DT = (0.9, 1.5), 2e-3
SMALL: Any = {"sense": 16, "hidden": 8, "motor": 12}


def held(controllers: list[Any], angles: Any, world: World, duration: float) -> Any:
    """Angles "time controller trial joint", in Brian2."""
    run = simulate(
        lambda: controlled(controllers, np.array(angles), POSTURE, DT, world), duration * second,
        record=["joints.angle"], target="numpy", namespace={}, report=None,
    )  # fmt: skip
    return run["joints.angle"].reshape(-1, len(controllers), len(angles), 2)


def test_balanced_activations_are_near_their_level_and_leave_the_arm_where_it_is() -> None:
    rest = balanced(POSTURE, DT, 0.1)
    assert rest == pytest.approx(0.1, abs=0.05)
    angle = held([feedback(POSTURE, DT, 0.1)], [POSTURE], World(), 0.2)
    # activations rise from 0.01 to their level, all in proportion but for passive forces
    assert np.abs(angle - POSTURE).max() < np.radians(0.5)


def test_feedback_and_regulator_bring_the_hand_back_and_a_constant_does_not() -> None:
    controllers = [
        feedback(POSTURE, DT, 0.05),
        feedback(POSTURE, DT, 0.05, angle=2.0, velocity=0.2),
        regulator(POSTURE, DT, look=0.1, effort=0.05, level=0.05),
    ]
    angles = np.array(POSTURE) + np.array([[0.1, -0.1], [-0.1, 0.1]])
    after = distance(held(controllers, angles, World(), 0.8), POSTURE)[-50:].max((0, 2))
    assert after[0] > 1.0
    assert (after[1:] < 0.6).all()


@pytest.mark.parametrize(("force", "axis"), [((20.0, 0.0), 0), ((0.0, 20.0), 1)])
def test_a_push_moves_the_hand_its_way(force: tuple[float, float], axis: int) -> None:
    world = World(push=(force,) * 25)
    rest = [feedback(POSTURE, DT, 0.02)]
    pushed = BONES.hand(held(rest, [POSTURE], world, 0.05))[-1, 0, 0]
    alone = BONES.hand(held(rest, [POSTURE], World(), 0.05))[-1, 0, 0]
    assert (pushed - alone)[axis] > 0.005


def test_a_world_reaches_the_body() -> None:
    changed, same = World(inertia=1.2, strength=(0.8,)).build(PLANT, DT), World().build(PLANT, DT)
    for name in ("A", "B", "D"):
        ratio = np.array(getattr(changed.joints, name)) / np.array(getattr(same.joints, name))
        assert ratio == pytest.approx(1.2)
    assert np.array(changed.muscles.F0) == pytest.approx(0.8 * np.array(same.muscles.F0))


def test_each_muscle_has_a_pool_of_its_own_with_the_same_drive() -> None:
    loop = ArmPosture(**SMALL).loop(0)
    pools: Any = loop.network()["neuromuscular"]
    muscle = np.array(pools.j[:])
    assert np.bincount(muscle).tolist() == [2] * MUSCLES
    drive = np.bincount(muscle, weights=np.array(pools.w[:]) * 100 * PLANT.tau_e)
    assert drive == pytest.approx(loop.drive)


def test_half_of_the_input_neurons_sense_each_joint() -> None:
    loop = ArmPosture(**SMALL).loop(0)
    sense: Any = loop.network()["sense"]
    assert np.bincount(loop.joint).tolist() == [8, 8]
    for name in ("along_angle", "along_velocity"):
        along = np.array(getattr(sense, name))
        assert all(sorted(set(np.sign(along[loop.joint == j]))) == [-1, 0, 1] for j in (0, 1))


def test_a_numb_arm_has_silent_input_neurons_and_another_has_not() -> None:
    loop = ArmPosture(**SMALL).loop(0)
    spikes = [
        mirror(loop.network(world=world), namespace={}).run(0.02 * second).spikes["sense"].sum()
        for world in (World(numb=True), World())
    ]
    assert spikes[0] == 0
    assert spikes[1] > 0


def test_an_aim_given_as_an_input_is_that_of_a_network_built_for_it() -> None:
    study = ArmPosture(**SMALL)
    loop, aims = study.loop(0), np.array([[0.7, 1.7]])
    angles = np.array([[1.0, 1.4]])
    model = mirror(loop.network(), dtype=torch.float64, namespace={})
    given = model.run(
        0.05 * second, state=start(model, angles), inputs=loop.aimed(aims, 25), batch_size=1,
        record=["joints.angle"],
    )  # fmt: skip
    built = mirror(
        loop.network(angles[0], posture=(0.7, 1.7)), dtype=torch.float64, namespace={}
    ).run(0.05 * second, record=["joints.angle"])
    assert torch.equal(given.spikes["sense"], built.spikes["sense"])
    assert torch.equal(given["joints.angle"], built["joints.angle"])


def test_distance_is_that_of_the_hand_in_centimetres() -> None:
    reach = 100 * sum(BONES.length)
    assert distance([[0.0, 0.0]], [np.pi, 0.0]) == pytest.approx(2 * reach)
    late = np.zeros((200, 2))
    late[100:, 0] = 2.0
    assert rms_at_end(late, DT) == pytest.approx(np.sqrt(2))


def test_cocontraction_is_one_where_antagonists_pull_alike_and_zero_where_one_rests() -> None:
    cocontraction = ArmPosture().cocontraction
    assert cocontraction(np.full((3, MUSCLES), 0.2)) == pytest.approx(1.0)
    assert cocontraction(np.tile([0.3, 0.0], (3, MUSCLES // 2))) == pytest.approx(0.0)


def test_held_out_starts_are_not_those_of_training() -> None:
    study = ArmPosture(**SMALL, batch=4)
    seen = study.task(study.model(0), 0).trial(0).state
    assert isinstance(seen, dict)
    angles = seen["joints.angle"].double().numpy()
    starts, _ = study.trials
    assert np.abs(angles[:, None] - starts).max(-1).min() > 1e-4
    assert np.abs(starts - np.array(POSTURE)).max() <= study.start
