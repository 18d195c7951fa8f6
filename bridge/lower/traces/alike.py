"""Alike: neurons that filter spikes by one linear equation, the same for all of them."""

import ast
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from mirrorneuron.errors import GradientError

from ...program import Program, Reset, Slot, Sum, Update
from ..expression import names
from .carrier import Carrier, Delivery
from .moves import changing_names
from .slopes import is_state

Derived = Carrier | Delivery | None


class Filters:
    """Which variables of a group a spike reaches, where that is a filter and the same for all.

    Arguments:
        program: The network.
        made: Slot to its derivatives.
        rule: How messages call the rule.
        driven: Keys of what inputs set at each step.
    """

    def __init__(
        self, program: Program, made: Mapping[str, Derived], rule: str, driven: Collection[str]
    ) -> None:
        self.program, self.made, self.rule, self.driven = program, made, rule, driven
        self.slots = {slot.name: slot for slot in program.slots}
        self.known: dict[str, list[str]] = {}
        self.changing: dict[str, set[str]] = {}

    def varies(self, slot: Slot, tree: ast.expr) -> bool:
        """Whether a value differs from element to element, or changes during a run."""
        if slot.name not in self.changing:
            self.changing[slot.name] = changing_names(self.program, slot)
        return bool(self.changing[slot.name] & set(names(tree)))

    def of(self, entry: str) -> list[str]:
        """Variables that change after a spike was added to one of them.

        Arguments:
            entry: Key of that one.

        Raises:
            GradientError: They do not filter spikes, or not all neurons alike.
        """
        if entry not in self.known:
            found = [] if entry in self.driven else self._reached(entry)
            self._require_alike(found, entry)
            self.known[entry] = found
        return self.known[entry]

    def updates(self, states: Collection[str]) -> Iterator[tuple[Slot, Carrier]]:
        """Slots that change some variables element by element, with their derivatives."""
        for name, made in self.made.items():
            slot = self.slots[name]
            if (
                isinstance(made, Carrier)
                and isinstance(slot, Update)
                and set(made.rows) & {*states}
            ):
                yield slot, made

    def _reached(self, entry: str) -> list[str]:
        group, found = entry.partition(".")[0], [entry]
        while True:
            more = [
                key
                for made in self.made.values()
                if isinstance(made, Carrier)
                for key, row in made.rows.items()
                if key.partition(".")[0] == group and key not in found
                if key not in self.driven and is_state_of(self.program, key)
                if any(seed.key in found for seed in row)
            ]
            if not more:
                return found
            found += dict.fromkeys(more)

    def _require_alike(self, states: Collection[str], entry: str) -> None:
        """Refuse what makes a filter different for one neuron, or at one time."""
        for name, made in self.made.items():
            slot = self.slots[name]
            if isinstance(made, Delivery):
                self._require_no_reading(made, states)
            elif made is None:
                if set(slot.written()) & {*states}:
                    self._refuse(entry, f"{name} sets it element after element")
            elif isinstance(slot, Reset):
                self._require_no_reset(slot, made, states)
            elif isinstance(slot, Sum) and (set(made.rows) & {*states}):
                self._refuse(entry, f"{name} sets it to a sum over synapses")
            elif isinstance(slot, Update):
                self._require_linear(slot, made, states, entry)

    def _require_no_reading(self, made: Delivery, states: Collection[str]) -> None:
        for key, row in made.added.items():
            for seed in row if key in states else ():
                if seed.key in states:
                    self._refuse(key, f"what {made.slot.name} adds to it depends on {seed.key!r}")

    def _require_no_reset(self, slot: Slot, made: Carrier, states: Collection[str]) -> None:
        for key, row in made.rows.items():
            for seed, tree in row.items():
                if seed.key not in states:
                    continue
                stays = isinstance(tree, ast.Constant) and tree.value == (seed.key == key)
                if not stays:
                    self._refuse(
                        key, f"{slot.name} does more than add to it, and so ends what came before;"
                        " an integrator that keeps it has a reset such as 'v -= 1'",
                    )  # fmt: skip
            if key in states and not any(seed.key == key for seed in row):
                self._refuse(
                    key, f"{slot.name} does more than add to it, and so ends what came before; an"
                    " integrator that keeps it has a reset such as 'v -= 1'",
                )  # fmt: skip

    def _require_linear(
        self, slot: Slot, made: Carrier, states: Collection[str], entry: str
    ) -> None:
        mine = [key for key in made.rows if key in states]
        size = self.program.groups[entry.partition(".")[0]].size
        for key in mine:
            if not np.array_equal(made.element[key], np.arange(size)):
                self._refuse(key, f"{slot.name} sets it for some neurons alone")
            if slot.every != 1:
                self._refuse(key, f"{slot.name} does not run at each step")
            for seed, tree in made.rows[key].items():
                if seed.key in states and (seed.index is not None or self.varies(made.code, tree)):
                    self._refuse(
                        key, f"{slot.name} changes it by {seed.key!r} by a factor that is not the"
                        " same for all neurons at all times",
                    )  # fmt: skip

    def _refuse(self, key: str, why: str) -> None:
        raise GradientError(
            f"{self.rule}: there is one trace for each neuron that sends, where those that receive"
            f" are filters of spikes, linear and all alike; {key!r} is none: {why}. Write"
            " rule=mn.RTRL(...), which has a trace for each synapse."
        )


def is_state_of(program: Program, key: str) -> bool:
    """Whether a key is a variable, not an event, that has derivatives."""
    return key in program.variables and is_state(program, key)
