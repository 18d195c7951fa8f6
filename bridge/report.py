"""Report: what each Brian2 object became in a mirror."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from mirrorneuron.errors import Unsupported

from .program import Program

BECAME = {
    "update": "updated every step",
    "threshold": "raises spikes",
    "reset": "reset on spikes",
    "synapses": "acts where events arrive",
    "summed": "summed over synapses",
    "generator": "spikes as given",
}


@dataclass(frozen=True)
class Report:
    """What was mirrored, what was left out, and what carries gradient.

    Arguments:
        program: The network.
        trained: Keys of the parameters.
        unsupported: Parts that were left out (only with `strict=False`).
    """

    program: Program
    trained: tuple[str, ...]
    unsupported: Sequence[Unsupported]

    @property
    def is_faithful(self) -> bool:
        """Whether the whole network was mirrored."""
        return not self.unsupported

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Object, kind, size and what became of it."""
        for group in self.program.groups.values():
            kinds = [s.kind for s in self.program.slots if s.owner == group.name]
            became = ", ".join(dict.fromkeys(BECAME[kind] for kind in kinds)) or "constant values"
            trained = [k.partition(".")[2] for k in self.trained if k.startswith(group.name + ".")]
            if trained:
                became += f"; trained: {', '.join(trained)}"
            yield group.name, group.kind, str(group.size), became
        for name, instead in self.program.ignored.items():
            yield name, "monitor", "", f"not part of the dynamics; read {instead}"
        for item in self.unsupported:
            yield item.object, item.kind, "", f"LEFT OUT: {item.feature}"

    def __str__(self) -> str:
        table = [("object", "kind", "size", "in the mirror"), *self.rows()]
        widths = [max(len(row[k]) for row in table) for k in range(3)]
        lines = [
            "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]])
            for row in table
        ]
        return "\n".join([self._headline(), "", *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows()
        )
        head = "".join(f"<th>{h}</th>" for h in ("object", "kind", "size", "in the mirror"))
        return f"<p>{escape(self._headline())}</p><table><tr>{head}</tr>{rows}</table>"

    def _headline(self) -> str:
        if self.is_faithful:
            return f"Faithful: all {len(self.program.groups)} objects are mirrored."
        return f"Not faithful: {len(self.unsupported)} parts of the network are left out."
