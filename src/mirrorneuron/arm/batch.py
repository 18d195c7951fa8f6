"""ArmBatch: trials of an arm as tensors."""

from collections.abc import Sequence
from typing import Any, Unpack

from numpy.random import Generator, default_rng
from torch import Tensor

from .._arguments import Count, checked
from ..errors import DomainError, ShapeError
from ..muscle import Plant
from .arm import Arm, Memory, Outcome
from .settings import Settings
from .task import ArmTask


@checked
class ArmBatch:
    """Trials of an arm as tensors, with gradients from observations and rewards to actions.

    Arguments:
        plant, task: See `Arm`.
        **settings: See `Arm`.

    Raises:
        UnknownName, UnitError, DomainError: See `Arm`.

    Example:
        >>> import mirrorneuron as mn
        >>> batch = mn.ArmBatch("elbow_pair", "hold")
        >>> seen = batch.reset(4, seed=0)
        >>> seen.shape, batch.arm.labels[:3]
        (torch.Size([4, 7]), ('angle.elbow', 'velocity.elbow', 'fiber_length.flexor'))
        >>> action = seen.new_full((4, 2), 0.1, requires_grad=True)
        >>> batch.step(action).reward.sum().backward()
    """

    def __init__(
        self,
        plant: str | Plant = "elbow_pair",
        task: str | ArmTask = "hold",
        **settings: Unpack[Settings],
    ) -> None:
        self.arm = Arm(plant, task, **settings)
        self._streams: list[Generator] = []
        self._memory: Memory = {}

    @property
    def state(self) -> Memory:
        """The true state of arms and task, "batch ...": "joints.angle" [rad], "muscles.force" [N],
        "goal", and so on; differentiable."""
        return dict(self._memory)

    @checked
    def reset(
        self,
        batch_size: Count | None = None,
        seed: int | Sequence[int] | None = None,
        angle: Any = None,
        goal: Any = None,
    ) -> Tensor:
        """Start trials.

        Arguments:
            batch_size: How many; by default as many as before, or 1.
            seed: One for each trial, or that of the first, whose successors take the next numbers.
                By default the streams go on, and are fresh at first.
            angle, goal: See `Arm.init`.

        Returns:
            The observation, "batch sense".

        Raises:
            ShapeError, DomainError: See `Arm.init`; or there is no trial, or a seed is negative.
        """
        size = max(len(self._streams), 1) if batch_size is None else batch_size
        self._streams = streams(size, seed, self._streams)
        observation, self._memory = self.arm.init(self._streams, angle, goal)
        return observation

    @checked
    def step(self, action: Tensor) -> Outcome:
        """Take one control step in all trials, also in those that have `terminated`.

        Arguments:
            action: Excitation of each muscle, "batch muscle" [1].

        Raises:
            ShapeError, DomainError, NumericalError: See `Arm.step`; or there was no `reset`.
        """
        require_begun(self._memory)
        outcome, self._memory = self.arm.step(self._memory, action)
        return outcome

    @checked
    def detach(self) -> None:
        """Cut the graph: later gradients go back to here, and no further."""
        self._memory = {key: x.detach() for key, x in self._memory.items()}


def streams(
    size: int, seed: int | Sequence[int] | None, old: Sequence[Generator] = ()
) -> list[Generator]:
    """One stream for each trial: see `ArmBatch.reset`.

    Raises:
        ShapeError: There are more or fewer seeds than trials, or no trial.
        DomainError: A seed is negative.
    """
    if size < 1:
        raise ShapeError("reset(0): there is no trial to start. Write reset(1).")
    if seed is None:
        return list(old) if len(old) == size else [default_rng() for _ in range(size)]
    seeds = seed if isinstance(seed, Sequence) else range(seed, seed + size)
    if len(seeds) != size:
        raise ShapeError(
            f"reset(seed={seed!r}): there are {len(seeds)} seeds for {size} trials. Write one for"
            " each, or the first of them."
        )
    if min(seeds) < 0:
        raise DomainError(f"reset(seed={seed!r}): a seed is negative. Write seed=0.")
    return [default_rng(k) for k in seeds]


def require_begun(memory: Memory) -> None:
    """Refuse a step before there is a trial.

    Raises:
        DomainError: There is none.
    """
    if not memory:
        raise DomainError(
            "step(action): there is no trial yet, so nothing that could move. Write reset() first."
        )
