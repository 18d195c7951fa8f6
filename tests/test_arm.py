"""Arms for controllers of one's own: exact, reproducible, differentiable, and gymnasium's."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from brian2 import Network, ms, mV, second
from brian2.units.allunits import newton
from gymnasium.utils.env_checker import check_env
from torch import nn

import mirrorneuron as mn
from mirrorneuron.arm import TASKS
from mirrorneuron.errors import (
    DomainError,
    MissingDependency,
    NumericalError,
    ShapeError,
    UnitError,
    UnknownName,
)
from mirrorneuron.muscle import plants

FAST: dict[str, Any] = {"dtype": torch.float64, "control_step": 4 * ms, "duration": 40 * ms}
NOISY: dict[str, Any] = FAST | {
    "sensory_delay": {"angle": 7 * ms, "spindle_ia": 4 * ms}, "motor_delay": 6 * ms,
    "sense": ["angle", "velocity", "spindle_ia", "tendon_organ"],
    "sensory_noise": {"angle": 0.01, "spindle_ia": 2.0}, "motor_noise": 0.2,
}  # fmt: skip
SHAKEN = mn.ArmTask(start=0.4, goal=0.3, pulse=2.0, pulse_rate=100.0, pulse_duration=0.01)


def actions(batch: mn.ArmBatch, steps: int, size: int) -> torch.Tensor:
    """Excitations, "time batch muscle"."""
    muscles = len(batch.arm.plant.muscles)
    return torch.rand(steps, size, muscles, generator=torch.Generator().manual_seed(3))


def rollout(
    batch: mn.ArmBatch, given: torch.Tensor, **reset: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Observations, that of the start included, and rewards, "time batch ..."."""
    seen, gained = [batch.reset(given.shape[1], **reset)], []
    for action in given:
        outcome = batch.step(action)
        seen.append(outcome.observation)
        gained.append(outcome.reward)
    return torch.stack(seen), torch.stack(gained)


# ---- the plant


@pytest.mark.parametrize("name", plants)
def test_an_environment_moves_as_brian2_does_to_the_last_bit(name: str) -> None:
    batch = mn.ArmBatch(name, mn.ArmTask(start=0.0, torque=0.3), **FAST)
    muscles = len(plants[name].muscles)
    excitation = np.linspace(0.4, 0.05, muscles)
    rollout(batch, torch.tensor(excitation).expand(10, 1, -1))
    body = plants[name].build(excitation="input", dt=1 * ms)
    body.muscles.excitation = excitation
    body.joints.load_ = 0.3
    Network(*body.objects).run(40 * ms)
    assert batch.state["joints.angle"].numpy().ravel().tolist() == body.joints.angle[:].tolist()
    assert batch.state["muscles.force"].numpy().ravel().tolist() == body.muscles.force_[:].tolist()


def test_forces_and_a_curl_field_act_on_the_hand_as_in_brian2() -> None:
    task = mn.ArmTask(start=0.0, force=(3.0, -2.0), curl=12.0)
    batch = mn.ArmBatch("arm26_nijhof", task, **FAST)
    rollout(batch, torch.full((10, 1, 6), 0.1))
    body = plants["arm26_nijhof"].build(excitation="input", dt=1 * ms, hand=True)
    assert body.hand is not None
    body.muscles.excitation = 0.1
    body.hand.force_x, body.hand.force_y = 3 * newton, -2 * newton
    body.hand.field_xy_, body.hand.field_yx_ = 12.0, -12.0
    Network(*body.objects).run(40 * ms)
    assert batch.state["joints.angle"].numpy().ravel().tolist() == body.joints.angle[:].tolist()


def test_observations_are_in_si_units_and_in_the_documented_order() -> None:
    batch = mn.ArmBatch("arm26_nijhof", "reach", sense=["hand", "fiber_length", "force"], **FAST)
    seen = batch.reset(1, angle=[0.5, 1.0], goal=[0.8, 1.1])[0].numpy()
    plant = plants["arm26_nijhof"]
    names = list(plant.muscles)
    expected = ["hand.x", "hand.y", *(f"fiber_length.{n}" for n in names)]
    expected += [*(f"force.{n}" for n in names), "goal.x", "goal.y"]
    assert list(batch.arm.labels) == expected
    hand = plant.skeleton.hand
    assert seen[:2] == pytest.approx(hand([0.5, 1.0]), abs=1e-12)
    assert seen[-2:] == pytest.approx(hand([0.8, 1.1]), abs=1e-12)
    numbers = plant.build(excitation="input", angle=[0.5, 1.0], dt=1 * ms).numbers()
    length = (numbers.fiber_length(numbers.joints["angle"]) * numbers.muscles["L0"])[0]
    assert seen[2:8] == pytest.approx(length, rel=1e-12)


def test_a_memory_is_left_as_it_is() -> None:
    arm = mn.ArmBatch(**NOISY).arm
    _, memory = arm.init([np.random.default_rng(0)])
    before = {key: x.clone() for key, x in memory.items()}
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            arm.step(memory, torch.full((1, 2), 0.3))
        assert all(torch.equal(memory[key], x) for key, x in before.items())


# ---- streams


def test_a_seed_gives_a_trial_to_the_last_bit() -> None:
    batch = mn.ArmBatch(task=SHAKEN, **NOISY)
    given = actions(batch, 10, 3)
    first, gained = rollout(batch, given, seed=5)
    other, _ = rollout(batch, given)
    again, gained_again = rollout(batch, given, seed=5)
    assert torch.equal(first, again)
    assert torch.equal(gained, gained_again)
    assert not torch.equal(first, other)


def test_each_trial_of_a_batch_is_what_it_is_alone() -> None:
    batch = mn.ArmBatch(task=SHAKEN, **NOISY)
    given = actions(batch, 10, 5)
    together, _ = rollout(batch, given, seed=5)
    for k in range(5):
        alone, _ = rollout(batch, given[:, k : k + 1], seed=5 + k)
        assert torch.equal(together[:, k : k + 1], alone)
    assert len(torch.unique(together[0, :, 0])) == 5


def test_noise_moves_no_start_and_no_load() -> None:
    quiet, noisy = (mn.ArmBatch(task=SHAKEN, **s) for s in (FAST, NOISY))
    quiet.reset(4, seed=0)
    noisy.reset(4, seed=0)
    for key in ("joints.angle", "goal", "load"):
        assert torch.equal(quiet.state[key], noisy.state[key])


def test_starts_lie_around_the_plants_posture_and_within_the_range() -> None:
    batch = mn.ArmBatch("arm26_nijhof", mn.ArmTask(start=5.0), **FAST)
    batch.reset(200, seed=0)
    angle = batch.state["joints.angle"].numpy()
    joints = batch.arm.plant.joints.values()
    lower, upper = ([getattr(j, side) for j in joints] for side in ("lower", "upper"))
    assert np.all((angle >= lower) & (angle <= upper))
    assert np.ptp(angle, axis=0) == pytest.approx(np.subtract(upper, lower), rel=0.05)


def test_pulses_last_as_long_and_come_as_often_as_the_task_says() -> None:
    task = mn.ArmTask(pulse=2.0, pulse_rate=5.0, pulse_duration=0.008)
    batch = mn.ArmBatch(task=task, dt=1 * ms, control_step=4 * ms, duration=8 * second)
    batch.reset(40, seed=0)
    load = batch.state["load"].numpy()[..., 0]
    assert np.mean(load != 0) == pytest.approx(1 - (1 - 5 * 0.004) ** 2, rel=0.1)
    assert np.abs(load).max() < 4.0
    assert np.abs(load.mean()) < 0.1
    for row in load:
        edges = np.flatnonzero(np.diff(np.r_[0, row != 0, 0]))
        assert all(b - a >= 2 for a, b in edges.reshape(-1, 2)[:-1])


# ---- delays and noise


@pytest.fixture(scope="module")
def fine() -> mn.ArmBatch:
    """An arm whose control steps are those of the plant."""
    return mn.ArmBatch(dtype=torch.float64, control_step=1 * ms, duration=24 * ms)


@pytest.mark.parametrize("delay", [0, 1, 4, 6])
def test_a_sensory_delay_shows_what_was_so_long_ago(fine: mn.ArmBatch, delay: int) -> None:
    late = mn.ArmBatch(**FAST, sensory_delay=delay * ms)
    constant = torch.tensor([0.5, 0.1])
    every, _ = rollout(fine, constant.expand(24, 2, 2), seed=0)
    shown, _ = rollout(late, constant.expand(6, 2, 2), seed=0)
    for k, seen in enumerate(shown):
        assert torch.equal(seen, every[max(4 * k - delay, 0)])


def test_senses_have_delays_of_their_own() -> None:
    now, late = (
        mn.ArmBatch(**FAST, sensory_delay=delay, sense=["angle", "velocity"])
        for delay in (0 * ms, {"velocity": 8 * ms})
    )
    given = actions(now, 5, 2)
    (seen, _), (shown, _) = (rollout(batch, given, seed=0) for batch in (now, late))
    assert torch.equal(seen[..., 0], shown[..., 0])
    assert torch.equal(seen[:-2, :, 1], shown[2:, :, 1])


@pytest.mark.parametrize("delay", [1, 4, 6])
def test_a_motor_delay_moves_the_arm_so_much_later(fine: mn.ArmBatch, delay: int) -> None:
    late = mn.ArmBatch(**FAST, motor_delay=delay * ms)
    given = actions(late, 6, 2)
    applied = torch.cat([torch.zeros(delay, 2, 2), given.repeat_interleave(4, 0)])[:24]
    every, _ = rollout(fine, applied, seed=0)
    shown, _ = rollout(late, given, seed=0)
    assert torch.equal(shown, every[::4])


def test_sensory_noise_has_the_deviation_that_was_asked_for() -> None:
    settings = {**FAST, "sense": ["angle", "velocity"]}
    clean, noisy = mn.ArmBatch(**settings), mn.ArmBatch(**settings, sensory_noise={"angle": 0.02})
    given = torch.full((10, 200, 2), 0.1)
    (seen, gained), (shown, same) = (rollout(b, given, seed=0) for b in (clean, noisy))
    assert float((shown - seen)[..., 0].std()) == pytest.approx(0.02, rel=0.05)
    assert torch.equal(shown[..., 1:], seen[..., 1:])
    assert torch.equal(gained, same)


def test_motor_noise_grows_with_the_excitation_and_leaves_it_within_0_and_1() -> None:
    batch = mn.ArmBatch(**FAST, motor_noise=0.1)
    batch.reset(2000, seed=0)
    batch.step(torch.tensor([0.2, 0.6]).expand(2000, 2))
    sent = batch.state["commands"][:, 0]
    assert sent.std(0).tolist() == pytest.approx([0.02, 0.06], rel=0.05)
    batch.step(torch.tensor([0.0, 1.0]).expand(2000, 2))
    sent = batch.state["commands"][:, 0]
    assert torch.all((sent[:, 0] == 0) & (sent[:, 1] <= 1))


# ---- rewards and ends


def test_a_reward_is_minus_squared_error_minus_effort() -> None:
    batch = mn.ArmBatch(task=mn.ArmTask(start=0.0, effort=0.5), **FAST)
    batch.reset(1, angle=[0.3], goal=[0.1])
    outcome = batch.step(torch.tensor([[0.4, 0.2]]))
    error = batch.state["joints.angle"] - 0.1
    expected = -float(error.square()) - 0.5 * (0.16 + 0.04) / 2
    assert outcome.reward.item() == pytest.approx(expected, rel=1e-12)
    assert outcome.error.item() == pytest.approx(abs(float(error)), rel=1e-12)


def test_a_trial_is_truncated_after_its_duration_and_then_refuses() -> None:
    batch = mn.ArmBatch(**FAST)
    batch.reset(2, seed=0)
    cut = [bool(batch.step(torch.zeros(2, 2)).truncated.all()) for _ in range(10)]
    assert cut == [False] * 9 + [True]
    with pytest.raises(DomainError, match=r"the trial is over, after 10 control steps of 4 ms"):
        batch.step(torch.zeros(2, 2))


def test_a_trial_terminates_at_its_goal_if_it_is_slow() -> None:
    batch = mn.ArmBatch("arm26_nijhof", mn.ArmTask(at_hand=True, tolerance=0.02), **FAST)
    batch.reset(2, angle=[[0.7, 1.2], [0.2, 1.2]], goal=[0.7, 1.2])
    outcome = batch.step(torch.full((2, 6), 0.01))
    assert outcome.terminated.tolist() == [True, False]


# ---- gradients


def test_gradients_of_actions_equal_central_differences_through_delays_noise_and_senses() -> None:
    batch = mn.ArmBatch("arm26_nijhof", "field", **NOISY)
    given = 0.2 + 0.5 * actions(batch, 6, 2)
    goal = torch.linspace(-1, 1, len(batch.arm.labels))

    def outcome(x: torch.Tensor) -> torch.Tensor:
        seen, gained = rollout(batch, x, seed=1)
        return 100 * gained.sum() + (seen[-1] * goal).sum()

    x = given.clone().requires_grad_()
    outcome(x).backward()
    assert x.grad is not None
    for place in [(0, 0, 1), (2, 1, 4), (5, 0, 0)]:
        step = torch.zeros_like(given)
        step[place] = 1e-5
        with torch.no_grad():
            difference = float(outcome(given + step) - outcome(given - step)) / 2e-5
        assert float(x.grad[place]) == pytest.approx(difference, rel=1e-5, abs=1e-6), place


def test_detach_cuts_gradients_and_changes_no_value() -> None:
    batch = mn.ArmBatch(**FAST)
    given = actions(batch, 2, 1).requires_grad_()
    whole, _ = rollout(batch, given, seed=0)
    batch.reset(1, seed=0)
    batch.step(given[0])
    batch.detach()
    seen = batch.step(given[1]).observation
    assert torch.equal(seen, whole[-1])
    seen.sum().backward()
    assert given.grad is not None
    assert torch.all(given.grad[0] == 0)
    assert torch.all(given.grad[1] != 0)


def test_a_small_network_learns_to_hold_the_arm_by_analytic_gradients() -> None:
    """The mean squared error of 300 ms falls to a sixth in 20 steps, on starts not trained with."""
    torch.manual_seed(0)
    batch = mn.ArmBatch(
        "elbow_pair", mn.ArmTask(start=0.5, effort=0.0), sense=["angle", "velocity"],
        dt=5 * ms, control_step=20 * ms, duration=300 * ms, dtype=torch.float64,
    )  # fmt: skip
    controller = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 2), nn.Sigmoid())
    nn.init.zeros_(controller[2].weight)
    nn.init.constant_(controller[2].bias, -3.0)
    size = torch.tensor([1.0, 0.1, 1.0])
    optimizer = torch.optim.Adam(controller.parameters(), lr=0.05)

    def loss(seed: int) -> torch.Tensor:
        seen, total = batch.reset(16, seed=seed), torch.zeros(())
        for _ in range(15):
            outcome = batch.step(controller(seen * size))
            seen, total = outcome.observation, total - outcome.reward.mean()
        return total / 15

    with torch.no_grad():
        before = loss(10_000).item()
    for step in range(20):
        optimizer.zero_grad()
        loss(100 * step).backward()
        optimizer.step()
    with torch.no_grad():
        after = loss(10_000).item()
    assert after < before / 6
    assert batch.state["joints.angle"].square().mean().sqrt() < 0.05  # rad; 0.28 before


# ---- gymnasium


@pytest.mark.parametrize("task", ["reach", "field"])
def test_gymnasiums_checker_finds_nothing(task: str) -> None:
    env = gymnasium.make("mirrorneuron.gym:Arm-v0", plant="arm26_nijhof", task=task)
    assert isinstance(env.unwrapped, mn.ArmEnv)
    check_env(env.unwrapped)


@pytest.mark.parametrize("plant", ["elbow_pair", "arm26_nijhof"])
def test_gymnasiums_checker_finds_nothing_with_every_sense_and_noise(plant: str) -> None:
    names = ["angle", "velocity", "fiber_length", "fiber_velocity", "force", *mn.muscle.receptors]
    noise = dict.fromkeys(names, 1000.0)
    env = gymnasium.make("mirrorneuron.gym:Arm-v0", plant=plant, sense=names, sensory_noise=noise)
    check_env(env.unwrapped)


def test_an_env_is_a_trial_of_a_batch() -> None:
    env, batch = mn.ArmEnv(task=SHAKEN, **NOISY), mn.ArmBatch(task=SHAKEN, **NOISY)
    given = actions(batch, 10, 1)
    seen, gained = rollout(batch, given, seed=7)
    observation, _ = env.reset(seed=7)
    assert observation.dtype == np.float64
    assert np.array_equal(observation, seen[0, 0])
    for k, action in enumerate(given[:, 0].numpy()):
        observation, reward, terminated, truncated, info = env.step(action)
        assert np.array_equal(observation, seen[k + 1, 0])
        assert reward == gained[k, 0].item()
        assert (terminated, truncated) == (False, k == 9)
        assert info["error"] > 0
    assert env.reset(options={"angle": [0.25]})[0].shape == observation.shape


def test_a_vector_env_is_many_envs_and_resets_as_they_do() -> None:
    """Trials that end at different times, over three episodes, to the last bit."""
    task = mn.ArmTask(start=0.05, goal=0.05, tolerance=0.03, pulse=2.0, pulse_rate=100.0)
    settings: Mapping[str, Any] = {**NOISY, "duration": 20 * ms}
    one = [lambda: mn.ArmEnv(task=task, **settings)] * 4
    expected = gymnasium.vector.SyncVectorEnv(one)
    found = mn.ArmVectorEnv(task=task, num_envs=4, **settings)
    assert found.metadata["autoreset_mode"] == expected.metadata["autoreset_mode"]
    assert found.observation_space == expected.observation_space
    assert found.action_space == expected.action_space
    found.action_space.seed(0)
    ended: set[tuple[bool, ...]] = set()
    assert np.array_equal(found.reset(seed=3)[0], expected.reset(seed=3)[0])
    for _ in range(15):
        action = found.action_space.sample() * 0.2
        ours, theirs = found.step(action), expected.step(action)
        for mine, other in zip(ours[:4], theirs[:4], strict=True):
            assert np.array_equal(mine, other)
        assert ours[0] in found.observation_space
        ended.add(tuple(ours[2] | ours[3]))
        assert np.array_equal(ours[4]["error"] * ours[4]["_error"], theirs[4]["error"])
    assert len(ended) > 2


def test_make_vec_makes_ours() -> None:
    envs = gymnasium.make_vec("mirrorneuron.gym:Arm-v0", num_envs=2, plant="elbow_pair")
    assert isinstance(envs.unwrapped, mn.ArmVectorEnv)
    postures = {"angle": [[0.1], [0.2]], "goal": [0.0]}
    assert envs.reset(options=postures)[0][:, 0].tolist() == pytest.approx([0.1, 0.2])


def test_mirrorneuron_imports_gymnasium_when_asked_to_and_can_do_without() -> None:
    code = (
        "import sys\n"
        "import mirrorneuron as mn\n"
        "assert 'gymnasium' not in sys.modules\n"
        "sys.modules['gymnasium'] = None\n"
        "from mirrorneuron import *\n"
        "mn.ArmBatch().reset(2)\n"
        "try: mn.ArmEnv\n"
        "except mn.errors.MissingDependency as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert done.strip() == str(MissingDependency("mirrorneuron.ArmEnv", "gymnasium", "gym"))
    assert "pip install 'mirrorneuron[gym]'" in done


def test_a_name_that_nothing_has_stays_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'ArmEnvs'"):
        mn.ArmEnvs  # noqa: B018


# ---- what is refused

REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "plant": ({"plant": "elbow_pear"}, UnknownName, "plant='elbow_pear' is not known. Did you"),
    "task": ({"task": "hover"}, UnknownName, "task='hover' is not known"),
    "sense": ({"sense": ["angel"]}, UnknownName, "sense='angel' is not known. Did you mean 'ang"),
    "hand": ({"sense": ["hand"]}, UnknownName, "sense='hand' is not known"),
    "no sense": ({"sense": []}, DomainError, r"sense=\[\] shows nothing"),
    "twice": ({"sense": ["angle", "angle"]}, DomainError, "shows nothing, or something twice"),
    "no dt": ({"dt": 0 * ms}, DomainError, "dt=0. s is not positive and finite"),
    "nan dt": ({"dt": np.nan * ms}, DomainError, "dt=nan .*s is not positive and finite"),
    "curl": ({"task": "field"}, DomainError, "acts on the hand, but 'elbow_pair' has one joint"),
    "step": ({"control_step": 2.5 * ms}, DomainError, "control_step=2.5 ms is no multiple of 1 ms"),
    "no step": ({"control_step": 0 * ms}, DomainError, r"control_step=0. s is no multiple of 1 ms"),
    "duration": ({"duration": 15 * ms}, DomainError, r"duration=15. ms is no multiple of 10 ms"),
    "infinite": ({"duration": np.inf * ms}, DomainError, r"duration=inf .*s is no multiple"),
    "delay": ({"sensory_delay": -1 * ms}, DomainError, r"sensory_delay=-1. ms is no multiple of 1"),
    "late": ({"motor_delay": 1.5 * ms}, DomainError, r"motor_delay=1.5 ms is no multiple of 1 ms"),
    "whose": ({"sensory_delay": {"hnd": 1 * ms}}, UnknownName, "sensory_delay='hnd' is not known"),
    "unit": ({"control_step": 10 * mV}, UnitError, r"control_step is .*, but has to be in \[s\]"),
    "bare": ({"dt": 0.001}, UnitError, r"dt is 0.001, a plain number, but has to be in \[s\]"),
    "dt": ({"dt": 20 * ms, "control_step": 20 * ms}, DomainError, "The largest safe one is"),
    "noise": ({"motor_noise": -0.1}, DomainError, "motor_noise=-0.1 is negative or not finite"),
    "nan": ({"sensory_noise": {"angle": np.nan}}, DomainError, r"sensory_noise\['angle'\]=nan is"),
    "noisy": ({"sensory_noise": {"hnd": 1.0}}, UnknownName, "sensory_noise='hnd' is not known"),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_setting_is_refused_by_name(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        mn.ArmBatch(**settings)


@pytest.mark.parametrize("settings", [{"start": -0.5}, {"pulse": -1.0}, {"pulse_rate": -1.0}])
def test_a_task_with_a_negative_size_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DomainError, match="is negative"):
        mn.ArmTask(**settings)


@pytest.mark.parametrize("settings", [{"torque": np.nan}, {"force": (0.0, np.inf)}])
def test_a_task_that_is_not_finite_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DomainError, match="Every value has to be a finite number"):
        mn.ArmTask(**settings)


@pytest.fixture(scope="module")
def arm() -> mn.ArmBatch:
    """A batch that has begun."""
    return mn.ArmBatch(**FAST)


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        ([[0.1, np.nan]], DomainError, r"excitation of 'extensor' is nan \(trial 0\)"),
        ([[0.1, 1.1]], DomainError, r"'extensor' is 1.1 \(trial 0\).*\[0, 1\], and is not clipped"),
        ([[-0.1, 0.1]], DomainError, r"excitation of 'flexor' is -0.1 \(trial 0\)"),
        ([0.1, 0.1], ShapeError, r"the shape is \(2,\), expected \(batch, muscle\) = \(1, 2\)"),
        ([[0.1] * 3], ShapeError, r"the shape is \(1, 3\), expected \(batch, muscle\) = \(1, 2\)"),
    ],
)
def test_a_wrong_action_is_refused_by_name(
    arm: mn.ArmBatch, action: Any, error: type[Exception], message: str
) -> None:
    arm.reset(1)
    with pytest.raises(error, match=message):
        arm.step(torch.tensor(action))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"angle": [1.5]}, DomainError, r"reset\(angle=...\): the joint 'elbow' is at 1.5 rad"),
        ({"goal": [-1.5]}, DomainError, r"reset\(goal=...\): the joint 'elbow' is at -1.5 rad"),
        ({"angle": [np.nan]}, DomainError, r"reset\(angle=...\) is nan at index 0, 0"),
        ({"angle": [0.1, 0.2]}, ShapeError, r"reset\(angle=...\): the shape is \(2,\), expected"),
        ({"seed": [1, 2]}, ShapeError, r"there are 2 seeds for 1 trials"),
        ({"seed": -1}, DomainError, r"a seed is negative"),
        ({"batch_size": 0}, DomainError, r"reset\(batch_size=0\): batch_size"),
    ],
)
def test_a_wrong_start_is_refused_by_name(
    arm: mn.ArmBatch, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        arm.reset(**{"batch_size": 1, **settings})


@pytest.mark.parametrize("kind", [mn.ArmBatch, mn.ArmEnv, mn.ArmVectorEnv])
def test_a_step_before_a_reset_is_refused(kind: Any) -> None:
    with pytest.raises(DomainError, match=r"there is no trial yet.*Write reset\(\) first"):
        kind(**FAST).step(torch.zeros(1, 2))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_begins_and_rewards(task: str) -> None:
    batch = mn.ArmBatch("arm26_nijhof", task, **FAST)
    batch.reset(3, seed=0)
    assert torch.all(batch.step(torch.zeros(3, 6)).reward <= 0)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"reset\(options=\{'angel': ...\}\) is not known. Did"):
        mn.ArmEnv(**FAST).reset(options={"angel": [0.1]})


def test_an_arm_that_leaves_its_range_of_stability_is_told(arm: mn.ArmBatch) -> None:
    _, memory = arm.arm.init([np.random.default_rng(0)])
    memory["joints.velocity"] = torch.full((1, 1), 1e200)
    with pytest.raises(NumericalError, match="the arm became NaN or infinite, with dt = 1 ms"):
        arm.arm.step(memory, torch.zeros(1, 2))


# ---- pictures


def test_gymnasium_knows_the_arm_by_name() -> None:
    env = gymnasium.make("mirrorneuron/Arm-v0", plant="elbow_pair", render_mode="rgb_array")
    env.reset(seed=0, options={"angle": [0.3]})
    assert env.render().shape == (240, 400, 3)
    assert env.metadata["render_fps"] == 100
    envs = gymnasium.make_vec("mirrorneuron/Arm-v0", num_envs=2)
    assert envs.reset(seed=0)[0].shape == (2, 7)


@pytest.mark.parametrize("plant", ["elbow_pair", "arm26_nijhof"])
def test_a_picture_shows_where_the_arm_is(plant: str) -> None:
    env = mn.ArmEnv(plant, "reach" if plant != "elbow_pair" else "hold", render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    assert first.dtype == np.uint8 and (first == 255).mean() > 0.5
    np.testing.assert_array_equal(first, env.render())
    for _ in range(20):
        env.step(np.full(env.action_space.shape, 0.3))
    assert (env.render() != first).mean() > 0.01
    env.close()


def test_a_window_is_drawn_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DomainError, match="matplotlib draws with 'agg', which has no window"):
        mn.ArmEnv(render_mode="human")
    monkeypatch.setattr("mirrorneuron.arm.picture.WINDOWLESS", ())
    env = mn.ArmEnv(render_mode="human")
    env.reset(seed=0)
    assert env._picture.clock.get_text() == "0 ms"
    env.step([0.1, 0.1])
    assert env._picture.clock.get_text() == "10 ms"
    assert env.render() is None
    env.close()


def test_a_picture_is_asked_for_beforehand() -> None:
    with pytest.raises(UnknownName, match=r"render_mode='ascii' is not known"):
        mn.ArmEnv(render_mode="ascii")
    with pytest.raises(DomainError, match=r"Write mn.ArmEnv\(..., render_mode='rgb_array'\)"):
        mn.ArmEnv().render()
    with pytest.raises(DomainError, match="there is no trial yet"):
        mn.ArmEnv(render_mode="rgb_array").render()


def test_the_environments_are_listed() -> None:
    assert {"ArmEnv", "ArmVectorEnv", "ArmBatch"} <= set(dir(mn))
