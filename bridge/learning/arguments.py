"""Arguments: what several functions check in the same way."""

from os import PathLike
from typing import Any

import numpy as np
from torch import Tensor

from mirrorneuron.errors import DomainError


def is_whole(x: Any) -> bool:
    """Whether something is a whole number."""
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


def is_number(x: Any) -> bool:
    """Whether something is a plain number, without a unit."""
    return isinstance(x, int | float | np.number) and not isinstance(x, bool | np.ndarray)


def require_clip(clip: Any) -> None:
    """Refuse what no norm of a gradient can be compared with.

    Raises:
        DomainError: It is no number above zero, and not None.
    """
    if clip is not None and not (is_number(clip) and clip > 0):
        raise DomainError(
            f"fit(clip={clip!r}): the largest norm of a gradient is a number above zero, without a"
            " unit, as parameters are of size one for the optimiser. Write, say, clip=1.0, or None"
            " to leave gradients as they are."
        )


def require_folder(argument: str, given: Any) -> None:
    """Refuse what names no folder.

    Raises:
        DomainError: It does not.
    """
    if given is not None and not isinstance(given, str | PathLike):
        raise DomainError(
            f"fit({argument}={given!r}): that is the path of a folder. Write, say,"
            f" {argument}='training', or None."
        )


def require_seed(asked: str, seed: Any) -> None:
    """Refuse what random numbers cannot start from.

    Raises:
        DomainError: It is no whole number from 0 on.
    """
    if not is_whole(seed) or seed < 0:
        raise DomainError(
            f"{asked}(seed={seed!r}): a seed is a whole number from 0 on, from which all random"
            " numbers follow. Write, say, seed=0."
        )


def require_steps(asked: str, steps: Any) -> None:
    """Refuse what is no number of training steps.

    Raises:
        DomainError: It is no whole number from 0 on.
    """
    if not is_whole(steps) or steps < 0:
        raise DomainError(
            f"{asked}(steps={steps!r}): that is the number of training steps, a whole number from 0"
            " on. Write, say, steps=100; how long a trial is, the task says: mn.Task(100*ms, ...)."
        )


def require_function(argument: str, given: Any, instead: str) -> None:
    """Refuse what cannot be called.

    Raises:
        DomainError: It cannot.
    """
    if not callable(given):
        raise DomainError(
            f"fit({argument}={given!r}): that is neither one of torch nor a function that makes"
            f" one. Write, say, {instead}."
        )


def callbacks(given: Any) -> tuple[Any, ...]:
    """One callback, or several, as several.

    Raises:
        DomainError: One cannot be called.
    """
    if given is None:
        return ()
    several = tuple(given) if isinstance(given, list | tuple) else (given,)
    for call in several:
        if not callable(call):
            raise DomainError(
                f"fit(callback={given!r}): {call!r} is no function. Write callback=lambda step,"
                " model, done: ..., or a list of such."
            )
    return several


def says_stop(wish: Any) -> bool:
    """Whether what a callback returned is True: as Python, numpy and torch have it."""
    truth = isinstance(wish, bool | np.bool_) or (isinstance(wish, Tensor) and wish.numel() == 1)
    return truth and bool(wish)
