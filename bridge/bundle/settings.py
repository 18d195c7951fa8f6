"""Settings: what a model is besides its network, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal

import torch

from mirrorneuron.errors import Unsupported
from mirrorneuron.units import Dimensions, quantity, si

from .._contracts import Surrogate
from ..mirror import Mirror
from ..parameter import Bounded, Free, Limit, Positive, Sign
from ..program import Program, Threshold
from ..surrogates import surrogates
from ..tie import Tied, key_of, members
from ._fault import Fault
from .grammar import require_key, require_plain

LIMITS: Mapping[str, type[Limit]] = {kind.__name__: kind for kind in (Free, Positive, Sign)}
DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}
Dtype = Literal["float32", "float64"]
Asked = str | Tied


@dataclass(frozen=True)
class Trained:
    """A parameter.

    Arguments:
        names: What it stands for, as it was asked for; several where they are tied.
        limit: Name of its limit.
        low, high: Bounds in SI units, where the limit has some.
        frozen: Whether it has no gradient for now.
    """

    names: tuple[str, ...]
    limit: Literal["Free", "Positive", "Sign", "Bounded"]
    low: float | None = None
    high: float | None = None
    frozen: bool = False


@dataclass(frozen=True)
class Shape:
    """A surrogate.

    Arguments:
        kind: Name of its class.
        width: In SI units, if it was given.
    """

    kind: str
    width: float | None = None


@dataclass(frozen=True)
class Settings:
    """What a model is besides its network.

    Arguments:
        trained: Its parameters, in order.
        surrogates: By the name of the group.
        reset_gradient, backend: As in `mirror`.
        made_in: Type in which the gradients of spikes were derived.
        dtype: Type of the values.
        unsupported: What was left out of the network.
        script: Constants, by "object.name", to names of the script.
    """

    trained: tuple[Trained, ...]
    surrogates: Mapping[str, Shape]
    reset_gradient: Literal["auto", "detach", "surrogate"]
    backend: str
    made_in: Dtype
    dtype: Dtype
    unsupported: tuple[Unsupported, ...] = ()
    script: Mapping[str, str] = field(default_factory=dict[str, str])


def settings_of(model: Mirror) -> Settings:
    """The settings of a model."""
    margins = {slot.owner: slot.margin for slot in model.program.slots_of(Threshold)}
    return Settings(
        trained=tuple(_trained(model, key) for key in model.limits),
        surrogates={n: _shape(s, margins.get(n)) for n, s in model.surrogates.items()},
        reset_gradient=model.reset_gradient,
        backend=model.asked,
        made_in=_dtype(model.made_in),
        dtype=_dtype(model.dtype),
        unsupported=model.unsupported,
        script=dict(model.script),
    )


def _dtype(dtype: torch.dtype) -> Any:
    return next(name for name, known in DTYPES.items() if known == dtype)


def _trained(model: Mirror, key: str) -> Trained:
    tied = tuple(name for name, of in model.names.items() if of == key)
    limit, frozen = model.limits[key], not model.trained[key].raw.requires_grad
    kind: Any = type(limit).__name__
    if not isinstance(limit, Bounded):
        return Trained(tied or (key,), kind, frozen=frozen)
    unit = model.unit(key)
    low, high = (float(si(x, unit, "a bound").reshape(())) for x in (limit.low, limit.high))
    return Trained(tied or (key,), kind, low, high, frozen)


def _shape(surrogate: Surrogate, unit: Dimensions | None) -> Shape:
    width = surrogate.width
    if width is not None and unit is not None:
        width = float(si(width, unit, "a width"))
    return Shape(type(surrogate).__name__, width)


def limits_of(settings: Settings, program: Program) -> dict[Asked, Limit]:
    """What is trained, and within which limits.

    Raises:
        Fault: A parameter is none of the network.
    """
    found: dict[Asked, Limit] = {}
    for made in settings.trained:
        for name in made.names:
            require_key(name, "a parameter")
        if not made.names:
            raise Fault("a parameter has no name")
        asked = made.names[0] if len(made.names) == 1 else Tied(*made.names)
        found[asked] = _limit(made, program)
    if len({key_of(asked) for asked in found}) < len(settings.trained):
        raise Fault("two parameters have one name")
    return found


def _limit(made: Trained, program: Program) -> Limit:
    if made.limit != "Bounded":
        return LIMITS[made.limit]()
    keys = members(program, made.names[0])
    if made.low is None or made.high is None or not keys:
        raise Fault(f"the bounds of {made.names[0]} are not there")
    if keys[0] not in program.variables and keys[0] not in program.constants():
        raise Fault(f"the parameter {made.names[0]} is none of the network")
    unit = program.unit(keys[0])
    return Bounded(quantity(made.low, unit), quantity(made.high, unit))


def surrogates_of(settings: Settings, program: Program) -> dict[str, Surrogate]:
    """Surrogate of each group.

    Raises:
        Fault: There is no such surrogate, or no such group.
    """
    known = {kind.__name__: kind for kind in surrogates.values()}
    margins = {slot.owner: slot.margin for slot in program.slots_of(Threshold)}
    found: dict[str, Surrogate] = {}
    for name, shape in settings.surrogates.items():
        unit = margins.get(name)
        if shape.kind not in known or unit is None:
            raise Fault(f"the surrogate {shape.kind!a} of {name!a} is unknown")
        if shape.width is not None and not 0 < shape.width < inf:
            raise Fault(f"the width of the surrogate of {name!a} is {shape.width}")
        width = None if shape.width is None else quantity(shape.width, unit)
        found[name] = known[shape.kind](width)
    return found


def require_names(settings: Settings) -> None:
    """Refuse names and texts that are none.

    Raises:
        Fault: Names the first.
    """
    for key, name in settings.script.items():
        require_key(key, "a constant")
        require_plain(name, "a name of the script")
    for item in settings.unsupported:
        for text in (item.object, item.kind, item.feature, item.reason, item.remedy):
            require_plain(text, "what was left out")
