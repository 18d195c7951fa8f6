r"""Complexity: what a network costs on hardware that counts bytes and additions.

Source: Yik et al. 2025, NeuroBench, section "Algorithm track", doi:10.1038/s41467-025-56739-4:
footprint, activation sparsity and effective synaptic operations.
Differs from it: the footprint has what no step changes, and not the states.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from mirrorneuron._arguments import Index, Magnitude, Share, checked
from mirrorneuron.errors import DomainError, UnknownName

MARKS = {"delay", "lastspike"}  # held by Brian2, and not by the network that is meant


@checked
@dataclass(frozen=True)
class Complexity:
    """What a network costs.

    Arguments:
        parameters: Values that no step changes: weights, and parameters of each neuron.
        footprint: Their size [B].
        accumulates: Effective accumulates of each pathway in a step: spikes times those of their
            synapses that are not zero; empty without a recording.
        sparsity: Share of neurons and steps without a spike, of each group with a threshold; empty
            without a recording.
    """

    parameters: Index
    footprint: Index
    accumulates: Mapping[str, Magnitude] = field(default_factory=dict[str, float])
    sparsity: Mapping[str, Share] = field(default_factory=dict[str, float])

    @property
    def effective_accumulates(self) -> float:
        """Of all pathways in a step; NaN without a recording."""
        return sum(self.accumulates.values()) if self.accumulates else float("nan")

    def __str__(self) -> str:
        lines = [f"footprint {self.footprint} B, {self.parameters} values"]
        if self.accumulates:
            parts = ", ".join(f"{name} {n:.1f}" for name, n in self.accumulates.items())
            lines.append(f"effective accumulates {self.effective_accumulates:.1f} a step ({parts})")
        lines += [f"sparsity of {name} {share:.4f}" for name, share in self.sparsity.items()]
        return "\n".join(lines)


def complexity(model: Any, recording: Any = None, value_bytes: int | Any = 4) -> Complexity:
    """Footprint, effective accumulates and sparsity of a mirror.

    Arguments:
        model: What `mn.mirror` made.
        recording: A run of it, whose spikes are counted; None for the footprint alone.
        value_bytes: Size of a value, 2 for half precision [B].

    Raises:
        DomainError: `model` is no mirror, or a value has no size.
        UnknownName: The recording lacks the spikes of a group: it is of another model.

    Example:
        `mn.analysis.complexity(model, model.run(2*second, inputs), value_bytes=2)`
    """
    if not hasattr(model, "program"):
        raise DomainError(
            f"complexity(model={model!r:.60}): this is no mirror, whose weights and pathways are"
            " counted. Write complexity(mn.mirror(network))."
        )
    if recording is not None and not hasattr(recording, "spikes"):
        raise DomainError(
            f"complexity(recording={recording!r:.60}): this is no recording, whose spikes are"
            " counted. Write complexity(model, model.run(1*second))."
        )
    if isinstance(value_bytes, bool) or not isinstance(value_bytes, int) or value_bytes < 1:
        raise DomainError(
            f"complexity(value_bytes={value_bytes!r}): the size of a value is a whole number of"
            " bytes, at least 1. Write 4 for single precision, 2 for half."
        )
    parameters = sum(_held(model).values())
    found = Complexity(parameters, parameters * value_bytes)
    if recording is None:
        return found
    return Complexity(
        parameters,
        parameters * value_bytes,
        _accumulates(model, recording),
        _sparsity(model, recording),
    )


def _held(model: Any) -> dict[str, int]:
    """Number of values of each variable that no step changes."""
    program = model.program
    written = {key for slot in program.slots for key in slot.written()}
    return {
        key: v.value.size
        for key, v in program.variables.items()
        if v.kind == "float" and not (v.scalar or v.read_only or key in written)
        and v.name not in MARKS and not v.name.startswith("_")
    }  # fmt: skip


def _accumulates(model: Any, recording: Any) -> dict[str, float]:
    """Effective accumulates of each pathway in a step."""
    held, found = _held(model), dict[str, float]()
    for pathway in model.program.pathways.values():
        if pathway.side != "pre":
            continue
        keys = [key for key in held if key.startswith(f"{pathway.owner}.")]
        used = np.any([_value(model, key) != 0 for key in keys], axis=0) if keys else 1.0
        fan_out = np.bincount(
            pathway.source, np.broadcast_to(used, pathway.source.shape).astype(float),
            minlength=pathway.n_sources,
        )  # fmt: skip
        spikes = _spikes(recording, pathway.event.partition(".")[0])
        found[pathway.owner] = found.get(pathway.owner, 0.0) + float(
            (spikes.reshape(-1, spikes.shape[-1]) @ fan_out).mean()
        )
    return found


def _sparsity(model: Any, recording: Any) -> dict[str, float]:
    """Share of neurons and steps without a spike."""
    groups = {slot.owner for slot in model.program.slots if hasattr(slot, "margin")}
    return {name: 1 - float(_spikes(recording, name).mean()) for name in sorted(groups)}


def _spikes(recording: Any, group: str) -> Float[np.ndarray, "time batch neuron"]:
    if group not in recording.spikes:
        raise UnknownName(
            f"complexity(model, recording): the recording has no spikes of {group!r}, but of"
            f" {', '.join(recording.spikes) or 'none'}. Give a run of this model."
        )
    return (np.asarray(recording.spikes[group].detach().cpu()) > 0).astype(float)


def _value(model: Any, key: str) -> NDArray[Any]:
    found = model.present(key) if key in model.keys else model.values.of(key)
    return np.asarray(found.detach().cpu()).reshape(-1)
