"""Place: the type of the values and the device that they are on, checked."""

from typing import Any

import torch

from mirrorneuron.errors import DomainError

TYPES = (torch.float32, torch.float64)


def require_type(asked: str, dtype: Any) -> None:
    """Refuse a type in which a network does not run.

    Raises:
        DomainError: It is none of those in which it does.
    """
    if not isinstance(dtype, torch.dtype) or dtype not in TYPES:
        raise DomainError(
            f"{asked}dtype={dtype!r}): states are real numbers, and need the range and precision of"
            " torch.float32 or torch.float64. Write dtype=torch.float32 to train, torch.float64 for"
            " Brian2's own values."
        )


def device_of(asked: str, device: Any) -> torch.device:
    """The device of that name.

    Raises:
        DomainError: There is none, or it keeps no values.
    """
    try:
        found = torch.device(device)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError, TypeError, ValueError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise DomainError(
            f"{asked}device={device!r}): torch cannot use it here ({reason}). Write device='cpu',"
            " or 'cuda' where torch.cuda.is_available()."
        ) from error
    if found.type == "meta":
        raise DomainError(
            f"{asked}device='meta'): that device keeps no values, and a network needs them to run."
            " Write device='cpu'."
        )
    return found
