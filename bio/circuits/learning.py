"""Plasticity in a circuit: which pathways learn, by which rule, and who teaches them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from brian2 import second, siemens

from mirrorneuron.errors import DomainError

from ..cells import Cell
from ..plasticity import PlasticityRule
from ..synapses._contracts import SynapseModel
from ._contracts import Wiring

NANOSIEMENS = 1e-9


@dataclass(frozen=True, kw_only=True)
class Plastic:
    """A pathway whose weights change.

    Parameters in units of the weight are multiplied by the factor of the pathway, as its weights
    are, so that a circuit of any size learns equally fast.

    Arguments:
        rule: How.
        values: Parameters of the rule that differ, those of its teaching among them.
        teacher: Pathway whose spikes teach; by default that of `circuits.anatomy`.
    """

    rule: PlasticityRule
    values: Mapping[str, Any] = field(default_factory=dict)
    teacher: str = ""


@dataclass(frozen=True, eq=False)
class Lesson:
    """A teacher in its target, and how to connect what it teaches.

    Arguments:
        rule: Of the pathways that it teaches.
        values: Parameters of the teaching that differ.
        wires: Pathway that teaches.
        label: Of the teacher in the target.
    """

    rule: PlasticityRule
    values: Mapping[str, Any]
    wires: Wiring
    label: str

    @property
    def held(self) -> dict[str, Any]:
        """Parameters of the target that differ, under their names there."""
        return {f"{name}_{self.label}": value for name, value in self.values.items()}

    def joins(self, source: str, target: str) -> bool:
        """Whether it is taught by one group to another."""
        path = self.wires.pathway
        return (path.source, path.target) == (source, target)

    def teach(self, groups: Mapping[str, Any]) -> list[Any]:
        """The synapses by which the teacher's spikes reach the target, if there are any."""
        path, wires = self.wires.pathway, self.wires
        if not len(wires):
            return []
        source, target = groups[path.source], groups[path.target]
        name, delay = f"{path.target}_{self.label}", path.delay * second
        return [
            self.rule.teach(
                source, target, self.label, i=wires.i, j=wires.j, delay=delay, name=name
            )
        ]


@dataclass(frozen=True, eq=False)
class Lessons:
    """What the plastic pathways of a circuit need.

    Arguments:
        plastic: By pathway.
        lesson: Teacher of each pathway that has one.
    """

    plastic: Mapping[str, Plastic]
    lesson: Mapping[str, Lesson]

    def of(self, target: str) -> list[Lesson]:
        """Every teacher of a group, once."""
        found = {id(le): le for le in self.lesson.values() if le.wires.pathway.target == target}
        return list(found.values())

    def taught(self, cell: Cell, target: str) -> Cell:
        """A cell with what its teachers need."""
        model = cell.model
        for lesson in self.of(target):
            model = lesson.rule.taught(model, lesson.label)
        return replace(cell, model=model)

    def connect(
        self, source: Any, target: Any, receptor: SynapseModel, to: str, *, name: str,
        wires: Wiring, scale: float,
    ) -> Any:  # fmt: skip
        """The plastic synapses of a pathway, their weights in the circuit multiplied by `scale`."""
        plastic, times = self.plastic[name], wires.factor * scale
        rule, label = plastic.rule, {}
        own = {n: v * times if n in rule.weighted else v for n, v in plastic.values.items()}
        if rule.teaching:
            label = {"label": self.lesson[name].label}
            own = {n: v for n, v in own.items() if n not in rule.teaching.parameters}
        unit = own.pop("unit", NANOSIEMENS * siemens) * times
        return rule.connect(
            source, target, receptor, to, i=wires.i, j=wires.j, w=wires.weight * scale * siemens,
            unit=unit, delay=wires.pathway.delay * second, name=name, **label, **own,
        )  # fmt: skip


def lessons(given: Mapping[str, Plastic | PlasticityRule], wiring: Mapping[str, Wiring]) -> Lessons:
    """What the plastic pathways need; those that one teacher teaches alike share what it leaves.

    Raises:
        DomainError: A rule needs a teacher where there is none.
    """
    plastic = {n: g if isinstance(g, Plastic) else Plastic(rule=g) for n, g in given.items()}
    found: dict[str, Lesson] = {}
    for name, how in plastic.items():
        teaching = how.rule.teaching
        if teaching is None:
            continue
        teacher, target = how.teacher or wiring[name].pathway.teacher, wiring[name].pathway.target
        if teacher not in wiring or wiring[teacher].pathway.target != target:
            can = [path for path, wires in wiring.items() if wires.pathway.target == target]
            raise DomainError(
                f"network(plastic={{{name!r}: ...}}): the rule compares with the spikes of a"
                f" teacher that reach {target!r}, and the teacher is {teacher or 'none'!r}. Write"
                f" Plastic(rule=..., teacher=...) with one of {', '.join(can)}."
            )
        values = {n: how.values[n] for n in teaching.parameters if n in how.values}
        source = wiring[teacher].pathway.source
        others = {one.label: one for one in found.values() if one.joins(source, target)}
        same = (wiring[teacher], teaching, values)
        alike = [o for o in others.values() if (o.wires, o.rule.teaching, o.values) == same]
        label = source + (str(len(others) + 1) if others else "")
        found[name] = alike[0] if alike else Lesson(how.rule, values, wiring[teacher], label)
    return Lessons(plastic, found)
