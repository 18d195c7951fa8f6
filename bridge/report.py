"""Report: what each Brian2 object became in a mirror, and where gradients pass."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from mirrorneuron.errors import Unsupported

from .program import Deliver, Generate, Host, Program, Reset, Slot, Sum, Threshold, Update

BECAME: dict[type[Slot], str] = {
    Update: "updated every step",
    Threshold: "raises spikes",
    Reset: "reset on spikes",
    Sum: "summed over synapses",
    Generate: "spikes as given",
}
COLUMNS = ("object", "kind", "size", "in the mirror", "gradient of its spikes")


@dataclass(frozen=True)
class Report:
    """What was mirrored, what was left out, and what carries gradient.

    Arguments:
        program: The network.
        trained: What is trained, by "object.name", with its limit.
        unsupported: Parts that were left out (only with `strict=False`).
        gradients: Group to what stands for the derivative of its spikes.
        engine: What runs the network, and why nothing faster.
        left_out: Learning rule to what its gradient leaves out, for rules that were used.
    """

    program: Program
    trained: Mapping[str, str]
    unsupported: Sequence[Unsupported]
    gradients: Mapping[str, str] = field(default_factory=dict[str, str])
    engine: str = ""
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

    @property
    def is_faithful(self) -> bool:
        """Whether the whole network was mirrored."""
        return not self.unsupported

    def rows(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Object, kind, size, what became of it, and the gradient of its spikes."""
        for group in self.program.groups.values():
            slots = [slot for slot in self.program.slots if slot.owner == group.name]
            frozen = map(self._frozen, (f"{group.name}.{event}" for event in group.events))
            parts = dict.fromkeys((*map(self._became, slots), *filter(None, frozen)))
            became = ", ".join(parts) or "constant values"
            gradient = self.gradients.get(group.name, "")
            became += self._trained(group.name)
            yield group.name, group.kind, f"{group.size:,}", became, gradient
        for drive in self.program.drives.values():
            size = f"{drive.count:,}"
            inputs = "input" if drive.count == 1 else "inputs"
            became = f"{size} {inputs} at {drive.rate:g} Hz into {drive.target}"
            yield drive.name, "PoissonInput", size, became + self._trained(drive.name), ""
        for slot in self.program.slots_of(Host):
            if slot.name not in self.program.ignored:
                kind, became = "Python", f"{slot.title} between steps, {self._hosted(slot)}"
                yield slot.name, kind, "", became, ""
        for name, instead in self.program.ignored.items():
            yield name, "monitor", "", f"not part of the dynamics; read {instead}", ""
        for item in self.unsupported:
            yield item.object, item.kind, "", f"LEFT OUT: {item.feature}", ""

    def _trained(self, name: str) -> str:
        """What of an object is trained."""
        trained = [text for key, text in self.trained.items() if key.startswith(f"{name}.")]
        return f"; trained: {', '.join(trained)}" if trained else ""

    def _hosted(self, slot: Host) -> str:
        """How the user's Python runs."""
        if slot.torch is None:
            return "on Brian2's own objects: one trial, no gradient"
        return f"on tensors as registered, from {', '.join(slot.reads) or 'nothing'}"

    def _frozen(self, event: str) -> str:
        """What is to be said of an event that its group, which is inactive, does not test."""
        if self.program.is_tested(event):
            return ""
        number, name = len(self.program.raised.get(event, ())), event.partition(".")[2]
        if not number:
            return f"inactive: raises no {name}"
        return f"inactive: the {number} that raised {name} last do so in each step, as in Brian2"

    def _became(self, slot: Slot) -> str:
        if not isinstance(slot, Deliver):
            return BECAME[type(slot)]
        pathway = self.program.pathways[slot.pathway]
        if not pathway.delay.size:
            return f"acts on {pathway.event}"
        low, high = (delay * slot.dt * 1e3 for delay in (pathway.delay.min(), pathway.delay.max()))
        after = f"{low:g} ms" if low == high else f"{low:g} to {high:g} ms"
        return f"acts {after} after {pathway.event}" if high else f"acts on {pathway.event}"

    def __str__(self) -> str:
        table = [COLUMNS, *self.rows()]
        widths = [max(len(row[k]) for row in table) for k in range(len(COLUMNS))]
        lines = (
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in table
        )
        return "\n".join([self._headline(), "", *lines, *self._cuts()])

    def _cuts(self) -> Iterator[str]:
        """What the gradients of rules leave out, line by line."""
        for rule, cuts in self.left_out.items():
            yield ""
            yield f"{rule} leaves out of the gradient:"
            yield from (f"  {cut}" for cut in cuts or ("nothing",))

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows()
        )
        head = "".join(f"<th>{name}</th>" for name in COLUMNS)
        cuts = escape("\n".join(self._cuts()).strip())
        below = f"<pre>{cuts}</pre>" if cuts else ""
        return f"<p>{escape(self._headline())}</p><table><tr>{head}</tr>{rows}</table>{below}"

    def _headline(self) -> str:
        if self.is_faithful:
            number = len(self.program.groups) + len(self.program.drives)
            found = f"Faithful: all {number} objects are mirrored."
        else:
            found = f"Not faithful: {len(self.unsupported)} parts of the network are left out."
        return f"{found} Engine: {self.engine}." if self.engine else found
