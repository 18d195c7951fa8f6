"""Calling: what `model(x)` means, and what torch cannot make of a model."""

from collections.abc import Collection, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from mirrorneuron.errors import DomainError, ExportError

from .lower.dataflow import reads
from .program import Program

GIVEN = ("SpikeGeneratorGroup", "PoissonGroup")


def input_names(program: Program, trained: Collection[str]) -> tuple[str, ...]:
    """What a tensor alone may be given to: spike sources and TimedArrays.

    Where there are none, parameters of neurons that are neither trained nor changed by the network.

    Arguments:
        program: The network.
        trained: Keys of what is trained.
    """
    sources = [name for name, group in program.groups.items() if group.kind in GIVEN]
    tables = dict.fromkeys(table.name for table in program.tables.values())
    return (*sources, *tables) or _parameters(program, trained)


def _parameters(program: Program, trained: Collection[str]) -> tuple[str, ...]:
    used = set[str]().union(*(reads(slot) for slot in program.slots))
    free = used - program.written() - set(trained)
    return tuple(
        key
        for key, variable in program.variables.items()
        if key in free and variable.kind == "float" and not variable.read_only
        if program.groups[variable.owner].kind == "NeuronGroup" and not variable.scalar
    )


def named_inputs(program: Program, trained: Collection[str], given: Any) -> dict[str, Any]:
    """Inputs by their names.

    Arguments:
        program: The network.
        trained: Keys of what is trained.
        given: A mapping, or one tensor for the only input.

    Raises:
        DomainError: It is neither, or there is not exactly one input.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(cast(Mapping[str, Any], given))
    known = input_names(program, trained)
    if isinstance(given, Tensor) and len(known) == 1:
        return {known[0]: given}
    if isinstance(given, Tensor):
        why = (
            f"has {len(known)} inputs ({', '.join(known)})" if known else "has no input of its own"
        )
        asked = f"model(tensor): the network {why}, and a tensor alone goes to the only one."
    else:
        asked = (
            f"model({type(given).__name__}): inputs are a mapping from names to arrays, or the"
            " tensor of the only one."
        )
    raise DomainError(f"{asked} Write model({{{(known or ('cells.I',))[0]!r}: x}}).")


def require_no_export() -> None:
    """Refuse to be made into a graph of tensors.

    Raises:
        ExportError: torch is about to make one.
    """
    exporting = getattr(torch.compiler, "is_exporting", bool)
    if exporting():
        raise not_exported("torch.export(model)")
    if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        raise not_exported("torch.jit.trace(model)")


def not_exported(asked: str) -> ExportError:
    """Why torch can make no graph of a model."""
    return ExportError(
        f"{asked}: a network delivers spikes by lists whose lengths depend on the values, and a"
        " graph of tensors of fixed shapes cannot hold them. Write mn.save(model, path); mn.load"
        " gives the model in a process without Brian2."
    )
