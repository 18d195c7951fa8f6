"""Specification: what makes a training the same training, in words.

It is kept with a checkpoint, and says which settings differ where they do.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from torch import Tensor
from torch.optim import Optimizer

from ..mirror import Mirror
from ..program import Program
from ._contracts import Rule, Task

IMPLEMENTATION = ("foreach", "fused", "capturable", "differentiable", "lr")
MOVING = ("base_lrs", "last_epoch", "best", "num_bad_epochs", "cooldown_counter", "T_cur", "T_i")


def specification(
    model: Mirror,
    rule: Rule[Any],
    optimizer: Optimizer,
    schedule: Any,
    clip: float | None,
    seed: int,
    task: Task,
) -> dict[str, str]:
    """What a training is, by what it is called in messages.

    Arguments:
        model, rule, optimizer, schedule, clip, seed, task: As in `fit`. Of a loss only what it
            says of itself is known, its `identity`.
    """
    return {
        "the network": _network(model.program),
        "trained variables": _trained(model),
        "the precision": str(model.dtype),
        **{f"the gradient of {key!r}": str(made) for key, made in model.gradients.items()},
        "the rule": str(rule) if is_dataclass(rule) else type(rule).__name__,
        "the optimiser": _optimizer(optimizer),
        "the learning rate": ", ".join(_plain(_rate(g)) for g in optimizer.param_groups),
        "the schedule": _schedule(schedule),
        "the duration of a trial": f"{model.steps(task.duration)} steps",
        "what is fitted": str(getattr(task.loss, "identity", "any")),
        "clip": str(clip),
        "the seed": str(seed),
    }


def differences(kept: Mapping[str, str], asked: Mapping[str, str]) -> list[str]:
    """Which settings differ, in words."""
    names = [*asked, *(name for name in kept if name not in asked)]
    return [
        f"{name} ({asked.get(name, 'none')}, there {kept.get(name, 'none')})"
        for name in names
        if asked.get(name) != kept.get(name)
    ]


def _network(program: Program) -> str:
    """A short text that another network would hardly have: of its code and all its values."""
    found = sha256(str(program).encode())
    for key, variable in sorted(program.variables.items()):
        found.update(key.encode() + np.ascontiguousarray(variable.value).tobytes())
    for key, path in sorted(program.pathways.items()):
        found.update(key.encode() + path.source.tobytes() + path.delay.tobytes())
    for key, table in sorted(program.tables.items()):
        found.update(key.encode() + np.ascontiguousarray(table.values).tobytes())
    for key, constant in sorted(program.constants().items()):
        found.update(f"{key} = {constant.value!r}".encode())
    return found.hexdigest()[:12]


def _trained(model: Mirror) -> str:
    """Parameters with what they stand for, and their limits."""
    shown = ((" = ".join(members), model.limits[key]) for key, members in model.members.items())
    return ", ".join(f"{names} ({limit})" for names, limit in shown)


def _rate(group: Mapping[str, Any]) -> Any:
    """The learning rate before a scheduler changed it."""
    return group.get("initial_lr", group.get("lr", ""))


def _optimizer(optimizer: Optimizer) -> str:
    settings = (f"{k}={_plain(v)}" for k, v in optimizer.defaults.items()
                if k not in IMPLEMENTATION)  # fmt: skip
    return f"{type(optimizer).__name__}({', '.join(settings)})"


def _schedule(schedule: Any) -> str:
    if schedule is None:
        return "none"
    settings = (f"{k}={_plain(v)}" for k, v in schedule.state_dict().items()
                if not k.startswith("_") and k not in MOVING)  # fmt: skip
    return f"{type(schedule).__name__}({', '.join(settings)})"


def _plain(value: Any) -> str:
    return repr(value.item()) if isinstance(value, Tensor) and value.numel() == 1 else str(value)
