"""register: what the user's Python does to tensors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, UnknownName

from .program import Host

TIME = "t"


class OnTensors(NamedTuple):
    """What a `network_operation` does to tensors.

    Arguments:
        reads: Keys of what it takes.
        writes: Keys of what it gives.
        torch: The function.
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    torch: Callable[..., Any]


REGISTERED: WeakKeyDictionary[Any, Callable[..., Tensor]] = WeakKeyDictionary()
OPERATIONS: WeakKeyDictionary[Any, OnTensors] = WeakKeyDictionary()


@checked
def register(
    function: Any,
    torch_function: Callable[..., Tensor] | None = None,
    *,
    reads: Sequence[str] | None = None,
    writes: Sequence[str] | None = None,
    torch: Callable[..., Any] | None = None,
) -> None:
    """Say what Python that you wrote for Brian2 does to tensors.

    Arguments:
        function: A function for equations, decorated with `@check_units` or `@implementation`, or a
            Brian2 `Function`; or a `network_operation`.
        torch_function: The same on SI floats: takes and returns tensors whose last axis runs
            over elements. Gradients pass through it.
        reads: Of a network_operation, the variables and spikes that it takes, ["exc.v",
            "exc.spike"]; "t" is the time [s].
        writes: The variables that it sets, ["inh.I"].
        torch: The same on SI floats: takes the values of `reads`, "batch element", in their order,
            and returns those of `writes` (one tensor, or as many as there are names). It runs for
            all trials at once, and gradients pass through it.

    Raises:
        DomainError: Brian2 would not take the function in equations, or it is not said what an
            operation reads and writes.

    Example:
        >>> import torch
        >>> from brian2 import check_units, exp, network_operation
        >>> @check_units(x=1, result=1)
        ... def softplus(x):
        ...     return log(1 + exp(x))
        >>> register(softplus, torch.nn.functional.softplus)
        >>> @network_operation
        ... def inhibit():
        ...     exc.I = -0.1 * mean(exc.v)
        >>> register(
        ...     inhibit, reads=["exc.v"], writes=["exc.I"], torch=lambda v: -0.1 * v.mean(-1, True)
        ... )
    """
    name = getattr(function, "__name__", repr(function))
    if reads is not None or writes is not None or torch is not None:
        _register_operation(name, function, reads, writes, torch)
        return
    if hasattr(function, "when") and hasattr(function, "clock"):
        raise DomainError(
            f"register({name}, ...): a network_operation acts on several objects, so say on which."
            f" Write register({name}, reads=['exc.v'], writes=['exc.I'], torch=lambda v: ...)."
        )
    if not hasattr(function, "_arg_units"):
        raise DomainError(
            f"register({name}, ...): Brian2 equations cannot call it, as it does not say which"
            " units it takes. Decorate it with @check_units(x=1, result=1) first."
        )
    if not callable(torch_function):
        raise DomainError(
            f"register({name}, {torch_function!r}): that is no function of tensors. Write"
            f" register({name}, lambda x: ...)."
        )
    REGISTERED[function] = torch_function


def _register_operation(name: str, operation: Any, reads: Any, writes: Any, torch: Any) -> None:
    """Note what a `network_operation` does to tensors."""
    for argument, given in (("reads", reads), ("writes", writes)):
        several = isinstance(given, Sequence) and not isinstance(given, str)
        if not several or not all(isinstance(key, str) for key in cast(Sequence[Any], given)):
            raise DomainError(
                f"register({name}, {argument}={given!r}): that is a list of names of variables."
                f" Write {argument}=['exc.v'], or [] where there is none."
            )
    if not callable(torch):
        raise DomainError(
            f"register({name}, torch={torch!r}): that is no function of tensors. Write"
            " torch=lambda v: ..., which takes what is read and returns what is written."
        )
    OPERATIONS[operation] = OnTensors(tuple(reads), tuple(writes), torch)


def registered(function: Any) -> Callable[..., Tensor] | None:
    """What was registered for a Brian2 `Function`, which may wrap the user's own function."""
    own = getattr(function, "pyfunc", None)
    return REGISTERED.get(function) or REGISTERED.get(own)


def registered_operation(operation: Any) -> OnTensors | None:
    """What was registered for a `network_operation`, or for the function that it calls."""
    function = getattr(operation, "function", None)
    found = OPERATIONS.get(operation)
    return OPERATIONS.get(function) if found is None and function is not None else found


def require_known(slot: Host, variables: Mapping[str, Any], events: Mapping[str, Any]) -> None:
    """Refuse what was registered for variables that do not exist, or that Brian2 sets itself.

    Raises:
        UnknownName: There is no such variable.
    """
    for argument, keys in (("reads", slot.reads), ("writes", slot.writes)):
        known = {k for k, v in variables.items() if argument == "reads" or not v.read_only}
        known |= {*events, TIME} if argument == "reads" else set()
        for key in keys:
            if key not in known:
                raise UnknownName.among(f"register({slot.name}, {argument}=[{key!r}])", key, known)
