"""register: what a user's function does to tensors."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor

from mirrorneuron.errors import DomainError

REGISTERED: WeakKeyDictionary[Any, Callable[..., Tensor]] = WeakKeyDictionary()


def register(function: Any, torch_function: Callable[..., Tensor]) -> None:
    """Say what a function that you wrote for Brian2 equations does to tensors.

    Arguments:
        function: The function, decorated with `@check_units` or `@implementation`, or a Brian2
            `Function`.
        torch_function: The same on SI floats: takes and returns tensors whose last axis runs
            over elements. Gradients pass through it.

    Raises:
        DomainError: Brian2 would not take the function in equations.

    Example:
        >>> from brian2 import check_units, exp
        >>> @check_units(x=1, result=1)
        ... def softplus(x):
        ...     return log(1 + exp(x))
        >>> register(softplus, torch.nn.functional.softplus)
    """
    if not hasattr(function, "_arg_units"):
        name = getattr(function, "__name__", repr(function))
        raise DomainError(
            f"register({name}, ...): Brian2 equations cannot call it, as it does not say which"
            " units it takes. Decorate it with @check_units(x=1, result=1) first."
        )
    REGISTERED[function] = torch_function


def registered(function: Any) -> Callable[..., Tensor] | None:
    """What was registered for a Brian2 `Function`, which may wrap the user's own function."""
    own = getattr(function, "pyfunc", None)
    return REGISTERED.get(function) or REGISTERED.get(own)
