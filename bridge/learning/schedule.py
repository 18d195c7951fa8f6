"""Schedule: how learning rates change from step to step, by any scheduler of torch."""

import warnings
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from mirrorneuron.errors import DomainError

from .arguments import require_function

MakeSchedule = Callable[[Any], LRScheduler]


def schedule_for(optimizer: Optimizer, given: LRScheduler | MakeSchedule | Any) -> Any:
    """The scheduler of an optimiser.

    Raises:
        DomainError: It is none, or one of another optimiser.
    """
    if given is None:
        return None
    instead = (
        "schedule=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)"
    )
    made: Any = given
    if not isinstance(given, LRScheduler):
        require_function("schedule", given, instead)
        made = _made(optimizer, given, instead)
    if not isinstance(made, LRScheduler):
        raise DomainError(
            f"fit(schedule=...): the function gave {made!r}, which is no scheduler of torch. Write,"
            f" say, {instead}."
        )
    if made.optimizer is not optimizer:
        raise DomainError(
            f"fit(schedule={type(made).__name__}(...)): the scheduler belongs to another optimiser"
            " than the one that trains, whose learning rates would never change. Give fit the"
            f" optimiser of the scheduler as well, or write {instead}."
        )
    return made


def _made(optimizer: Optimizer, given: Any, instead: str) -> Any:
    """What a function, or a class of torch, makes of an optimiser."""
    if not isinstance(given, type):
        return given(optimizer)
    try:
        return given(optimizer)
    except TypeError as error:
        name = given.__name__
        raise DomainError(
            f"fit(schedule={name}): that is a class, which cannot be made of the optimiser alone"
            f" ({error}). Write the function that makes one: schedule=lambda optimizer:"
            f" {name}(optimizer, ...)."
        ) from error


def advance(schedule: Any, loss: float) -> None:
    """Go on by a training step, whether or not its update was skipped."""
    with warnings.catch_warnings():
        # said where the first update was skipped, which the training says itself
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(loss)
        else:
            schedule.step()
