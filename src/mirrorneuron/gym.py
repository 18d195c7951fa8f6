"""gym: the arms of `mirrorneuron.arm` behind the interface of gymnasium.

Where mirrorneuron is installed, gymnasium knows them by name, and importing this module registers
them, too: `gymnasium.make("mirrorneuron/Arm-v0", plant="arm26_nijhof")`, and `make_vec` likewise.
Observations are clipped into their space, which noise alone could leave; actions outside theirs are
refused. `info["error"]` is the distance to the goal [rad or m].
"""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from ._arguments import Count, Index, checked
from .arm.arm import Arm, Memory
from .arm.batch import require_begun, streams
from .arm.senses import Array
from .arm.settings import Settings
from .arm.task import ArmTask
from .errors import DomainError, MissingDependency, UnknownName
from .gym_registration import register_environments
from .muscle import Plant

try:
    import gymnasium
    from gymnasium.spaces import Box
    from gymnasium.vector import AutoresetMode
    from gymnasium.vector.utils import batch_space
except ImportError as missing:
    raise MissingDependency("mirrorneuron.ArmEnv", "gymnasium", "gym") from missing

OPTIONS = ("angle", "goal")
RENDER_MODES = ("human", "rgb_array")


def _spaces(arm: Arm) -> tuple[Box, Box]:
    """Spaces of observations and actions."""
    dtype: Any = np.float64 if arm.model.dtype == torch.float64 else np.float32
    low, high = arm.low.astype(dtype), arm.high.astype(dtype)
    return Box(low, high, dtype=dtype), Box(0.0, 1.0, (len(arm.plant.muscles),), dtype)


def _modes() -> list[str]:
    """Ways to be drawn here: without a window, not "human"."""
    from .arm.picture import has_window

    return list(RENDER_MODES[0 if has_window() else 1 :])


def _picture(arm: Arm, mode: str) -> Any:
    from .arm.picture import ArmPicture  # brings matplotlib

    return ArmPicture(arm, window=mode == "human")


def _postures(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of `reset`."""
    for name in options or {}:
        if name not in OPTIONS:
            raise UnknownName.among(f"reset(options={{{name!r}: ...}})", name, OPTIONS)
    return dict(options or {})


def _action(arm: Arm, given: Any) -> Tensor:
    try:
        numbers = np.array(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise DomainError(
            f"step(action): {given!r:.60} are no excitations. Write one number between 0 and 1 for"
            " each muscle."
        ) from error
    return torch.as_tensor(numbers, device=arm.model.device)


def _inside(space: gymnasium.Space[Any], observation: Tensor) -> Array:
    """An observation as an array of a space."""
    box: Any = space
    return np.clip(observation.cpu().numpy(), box.low, box.high)


@checked
class ArmEnv(gymnasium.Env[Array, Array]):
    """One arm, as a `gymnasium.Env`.

    Arguments:
        plant, task: See `mirrorneuron.arm.Arm`, as for what is observed, in which order.
        render_mode: "rgb_array" makes `render()` return a picture, "y x color"; "human" shows
            it in a window after each `reset` and `step`.
        **settings: Likewise.

    Raises:
        UnknownName, UnitError, DomainError: See `Arm`; or matplotlib has no window.

    Example:
        >>> import mirrorneuron as mn
        >>> env = mn.ArmEnv("elbow_pair", "hold")
        >>> observation, info = env.reset(seed=0, options={"angle": [0.3]})
        >>> env.step([0.1, 0.2])[2:4]
        (False, False)
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 50}  # noqa: RUF012

    def __init__(
        self,
        plant: str | Plant = "elbow_pair",
        task: str | ArmTask = "hold",
        render_mode: str | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise UnknownName.among(f"render_mode={render_mode!r}", render_mode, RENDER_MODES)
        self.arm = Arm(plant, task, **settings)
        self.observation_space, self.action_space = _spaces(self.arm)
        self.render_mode = render_mode
        self.metadata = {"render_modes": _modes(), "render_fps": round(1 / self.arm.control_step)}
        self._picture = None if render_mode is None else _picture(self.arm, render_mode)
        self._memory: Memory = {}

    def render(self) -> Any:
        """The arm as it is: an array of bytes "y x color" with "rgb_array", else None.

        Raises:
            DomainError: There was no `reset`, or no `render_mode` was given.
        """
        if self._picture is None:
            raise DomainError(
                "render(): no render_mode was given. Write mn.ArmEnv(..., render_mode='rgb_array')."
            )
        require_begun(self._memory)
        drawn = self._picture.draw(self._memory)
        return drawn if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._picture is not None:
            self._picture.close()

    def _show(self) -> None:
        if self.render_mode == "human":
            self.render()

    @checked
    @checked
    def reset(
        self, *, seed: Index | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start a trial.

        Arguments:
            seed: Of its stream; by default the stream goes on.
            options: "angle" and "goal", postures with one angle for each joint [rad].

        Raises:
            UnknownName: There is no such option.
            ShapeError, DomainError: See `Arm.init`.
        """
        super().reset(seed=seed)
        seen, self._memory = self.arm.init([self.np_random], **_postures(options))
        self._show()
        return _inside(self.observation_space, seen)[0], {}

    @torch.no_grad()
    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Take one control step.

        Arguments:
            action: Excitation of each muscle, between 0 and 1.

        Raises:
            ShapeError, DomainError, NumericalError: See `Arm.step`; or there was no `reset`.
        """
        require_begun(self._memory)
        outcome, self._memory = self.arm.step(self._memory, _action(self.arm, action)[None])
        self._show()
        reward, *ends, error = (x.item() for x in outcome[1:])
        seen = _inside(self.observation_space, outcome.observation)[0]
        return seen, float(reward), bool(ends[0]), bool(ends[1]), {"error": float(error)}


@checked
class ArmVectorEnv(gymnasium.vector.VectorEnv[Array, Array, Array]):
    """Many arms at once, as a `gymnasium.vector.VectorEnv` that resets a trial in the step after
    its last (`AutoresetMode.NEXT_STEP`).

    Arguments:
        plant, task: See `mirrorneuron.arm.Arm`.
        num_envs: How many.
        **settings: See `Arm`.

    Raises:
        UnknownName, UnitError, DomainError: See `Arm`.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        plant: str | Plant = "elbow_pair",
        task: str | ArmTask = "hold",
        num_envs: Count = 1,
        **settings: Unpack[Settings],
    ) -> None:
        self.num_envs = num_envs
        self.arm = Arm(plant, task, **settings)
        self.single_observation_space, self.single_action_space = _spaces(self.arm)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._streams = streams(num_envs, None)
        self._memory: Memory = {}
        self._over = torch.zeros(num_envs, dtype=torch.bool, device=self.arm.model.device)

    @checked
    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start all trials.

        Arguments:
            seed: One for each trial, or that of the first, whose successors take the next numbers.
                By default the streams go on.
            options: "angle" and "goal", postures "joint" or "batch joint" [rad].

        Raises:
            UnknownName: There is no such option.
            ShapeError, DomainError: See `Arm.init`; or there are more or fewer seeds than trials.
        """
        self._streams = streams(self.num_envs, seed, self._streams)
        seen, self._memory = self.arm.init(self._streams, **_postures(options))
        self._over = torch.zeros_like(self._over)
        return _inside(self.observation_space, seen), {}

    @torch.no_grad()
    def step(self, actions: Any) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Take one control step in each trial; one that was over starts anew instead.

        Arguments:
            actions: Excitations, "batch muscle", between 0 and 1; those of a trial that starts
                anew are not used.

        Raises:
            ShapeError, DomainError, NumericalError: See `Arm.step`; or there was no `reset`.
        """
        require_begun(self._memory)
        action, rows = _action(self.arm, actions), torch.nonzero(self._over)[:, 0]
        begun: Memory = {}
        if len(rows):
            begun["seen"], fresh = self.arm.init([self._streams[k] for k in rows.tolist()])
            begun |= fresh
        outcome, memory = self.arm.step(_put(self._memory, begun, rows), action)
        self._memory = _put(memory, begun, rows)
        seen = _put({"seen": outcome.observation}, begun, rows)["seen"]
        going = ~self._over
        reward = torch.where(going, outcome.reward, 0.0).double()
        terminated, truncated = outcome.terminated & going, outcome.truncated & going
        self._over = terminated | truncated
        gained, ended, cut = (x.cpu().numpy() for x in (reward, terminated, truncated))
        info = {"error": outcome.error.double().cpu().numpy(), "_error": going.cpu().numpy()}
        return _inside(self.observation_space, seen), gained, ended, cut, info


def _put(memory: Memory, fresh: Memory, rows: Tensor) -> Memory:
    """A memory in which some trials are others."""
    return {k: x.index_copy(0, rows, fresh[k]) if fresh else x for k, x in memory.items()}


gymnasium.register(
    "Arm-v0", entry_point="mirrorneuron.gym:ArmEnv",
    vector_entry_point="mirrorneuron.gym:ArmVectorEnv",
)  # fmt: skip
register_environments()
