r"""Senders: a network with one trace for each neuron that sends, in place of one for each synapse.

Where the neurons that receive are filters of spikes, linear and all alike, their potentials depend
on a weight as they would on a weight of one: $\partial x_i/\partial w_{ij} = a_j$, with one trace
$a_j$ for all receivers i. The gradient of a weight is $L_i\,\psi_i\,a_j$, summed over time. Memory
is that of the neurons, not of the synapses.

The signal L is the derivative of the loss by a spike. A spike also acts on the neurons of the next
layer; "through" layers it counts for what it does to them at their next step, and no later.

Source: one trace for each sender: Xiao et al. 2022, arXiv:2210.04195, section 4 (OTTT), and Kaiser
et al. 2020, doi:10.3389/fnins.2020.00424 (DECOLLE). The slots are derived here from the statements
of any Program.
Differs from them: filters may have several variables, delays are kept, and the step between layers
is that of the network's own schedule.
"""

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mirrorneuron.errors import GradientError

from ...program import Deliver, Group, Program, Ref, Slot, Threshold, Update
from ..derivative import ZERO, plus, times
from ..expression import names
from ..step import is_synaptic
from .alike import Filters
from .carrier import Carrier, Delivery, SpikeSlope, beside, carrier, delivery
from .eligibility import Eligibility, Total
from .names import Code, Names
from .slopes import Seed, define, functions_of


@dataclass(frozen=True)
class Feed:
    """Trained synapses, and the filter at their end.

    Arguments:
        parameter: Key of the weight.
        made: What they deliver.
        entry: Key of the variable to which spikes are added.
    """

    parameter: str
    made: Delivery
    entry: str

    @property
    def traces(self) -> str:
        """Owner of the traces as variables."""
        return f"{self.parameter.replace('.', '_')}_senders"


@dataclass(frozen=True)
class Place:
    """Where in a step signals are weighed with traces.

    Arguments:
        position: Number of the slot before which that is.
        slots: Where the slots that do it go.
        like: The slot beside which they run.
    """

    position: float
    slots: list[Slot]
    like: Slot


def senders(
    program: Program,
    parameters: Sequence[str],
    read: Sequence[str],
    spikes: Mapping[str, SpikeSlope],
    rule: str,
    through: bool,
    driven: Collection[str] = (),
) -> Eligibility:
    """A network with one trace for each neuron that sends through trained synapses.

    Arguments:
        program: The network.
        parameters: Keys of the weights that are trained.
        read: What the loss reads: keys of variables, and of events, "E.spike".
        spikes: What stands for the derivative of each event that has one.
        rule: How messages call the rule.
        through: Whether signals go back through layers.
        driven: Keys of variables and events that inputs set at each step.

    Raises:
        GradientError: A parameter is no weight, or the neurons that it acts on are no filters that
            are all alike; or nothing that the loss reads depends on it.
    """
    free = {key: slope for key, slope in spikes.items() if key not in driven}
    return _Builder(program, parameters, read, free, rule, through, driven).built()


class _Builder:
    """Makes the network: see `senders`."""

    def __init__(
        self, program: Program, parameters: Sequence[str], read: Sequence[str],
        spikes: Mapping[str, SpikeSlope], rule: str, through: bool, driven: Collection[str],
    ) -> None:  # fmt: skip
        self.program, self.parameters, self.read = program, parameters, list(read)
        self.spikes, self.rule, self.through = spikes, rule, through
        self.known = Names(program, {})
        self._require_detached()
        self.made: dict[str, Carrier | Delivery | None] = {
            slot.name: self._derived(slot) for slot in program.slots
        }
        self.filters = Filters(program, self.made, rule, driven)
        self.feeds = [feed for key in parameters for feed in self._feeds(key)]
        self.position = {slot.name: k for k, slot in enumerate(program.slots)}
        self.stored: dict[str, dict[str, ast.expr]] = {}
        self.before: dict[str, list[Slot]] = {}
        self.after: dict[str, list[Slot]] = {}
        self.early: list[Slot] = []
        self.past: dict[str, dict[str, int]] = {}
        self.totals: dict[str, list[Total]] = {key: [] for key in parameters}
        self.cuts: dict[str, None] = {}
        self.followed: set[str] = set()

    def _require_detached(self) -> None:
        follows = sorted(key for key, slope in self.spikes.items() if slope.follows)
        if follows:
            raise GradientError(
                f"{self.rule}: the gradient of {', '.join(follows)} passes through the reset, and"
                " one trace for all neurons that receive knows no reset. Write mirror(net, ...,"
                " reset_gradient='detach')."
            )

    def _derived(self, slot: Slot) -> Carrier | Delivery | None:
        if isinstance(slot, Deliver):
            return delivery(self.program, slot, self.parameters)
        if isinstance(slot, Update) and is_synaptic(self.program, slot):
            return None
        return carrier(self.program, slot, self.parameters, self.spikes)

    # ---- what is trained

    def _feeds(self, key: str) -> Iterator[Feed]:
        """Where the synapses of a weight deliver, and nothing else that it does."""
        found: list[Feed] = []
        for name, made in self.made.items():
            rows = made.added if isinstance(made, Delivery) else {}
            found += [Feed(key, made, entry) for entry, row in rows.items()
                      if isinstance(made, Delivery) and any(s.key == key for s in row)]  # fmt: skip
            others = made.rows if isinstance(made, Carrier) else {}
            kept = made.kept if isinstance(made, Delivery) else {}
            if any(s.key == key for row in (*others.values(), *kept.values()) for s in row):
                self._refuse(key, f"{name} reads it")
        if key in self.program.written():
            self._refuse(key, "it changes during a run")
        if not found:
            self._refuse(key, "no synapses add it to a neuron")
        for feed in found:
            self._require_weight(feed)
        yield from found

    def _refuse(self, key: str, why: str) -> None:
        raise GradientError(
            f"{self.rule}: {key!r} is no weight that spikes add to neurons ({why}), and there is"
            " one trace for each neuron that sends. Write rule=mn.RTRL(...), which has traces of"
            " any parameter."
        )

    def _require_weight(self, feed: Feed) -> None:
        """Refuse synapses that are not all alike but for their weights."""
        slot, row = feed.made.slot, feed.made.added[feed.entry]
        slope = next(tree for seed, tree in row.items() if seed.key == feed.parameter)
        if self.filters.varies(slot, slope):
            self._refuse(feed.parameter, f"{slot.name} adds it times what differs or changes")
        path = self.program.pathways[slot.pathway]
        _, first = np.unique(path.source, return_index=True)
        longest = np.zeros(path.n_sources, np.int64)
        longest[path.source[first]] = path.delay[first]
        if not np.array_equal(longest[path.source], path.delay):
            self._refuse(feed.parameter, f"{slot.owner!r} has delays that differ for one sender")
        self.filters.of(feed.entry)

    # ---- the traces

    def built(self) -> Eligibility:
        """The network with its traces."""
        for feed in self.feeds:
            self._follow(feed)
        for key in self.read:
            self._gather(key)
        self._require_reached()
        slots: list[Slot] = []
        self._say_cuts()
        early = 0
        for number, slot in enumerate(self.program.slots):
            if number == self.program.early:
                early = len(slots)
                slots += self.early
            slots += self._written(slot)
        if self.program.early == len(self.program.slots):
            early = len(slots)
            slots += self.early
        carriers = [made for made in self.made.values() if isinstance(made, Carrier)]
        tables = {key: table for made in carriers for key, table in made.tables.items()}
        groups = {**self.program.groups, **self._groups()}
        program = replace(
            self.program, slots=tuple(slots), early=early, variables=self.known.variables,
            indices=self.known.indices, groups=groups, tables={**self.program.tables, **tables},
        )  # fmt: skip
        signals = {key: self._signal(key) for key in self.read}
        return Eligibility(program, self.totals, signals, list(self.cuts))

    def _groups(self) -> dict[str, Group]:
        sizes = {f.traces: self.program.pathways[f.made.slot.pathway].n_sources for f in self.feeds}
        return {name: Group(name=name, kind="Traces", size=size) for name, size in sizes.items()}

    def _follow(self, feed: Feed) -> None:
        """Slots by which the traces of senders follow the filter at the end of synapses."""
        path = self.program.pathways[feed.made.slot.pathway]
        states = self.filters.of(feed.entry)
        new = f"{feed.traces}.{feed.entry.partition('.')[2]}" not in self.known.variables
        for state in states:
            self.known.declare(self._trace(feed, state), np.zeros(path.n_sources))
        if new:
            self._filtered(feed.traces, states, path.n_sources)
        made = self.made[feed.made.slot.name]
        slot = made.slot if isinstance(made, Delivery) else feed.made.slot
        row = feed.made.added[feed.entry]
        slope = next(tree for seed, tree in row.items() if seed.key == feed.parameter)
        first = np.zeros(len(path.source))
        first[np.unique(path.source, return_index=True)[1]] = 1.0
        marker = self.known.declare(f"{slot.name}_first.of_sender", first)
        code = Code(self.known, slot.name, slot, slot.size)
        code.set(self._trace(feed, feed.entry), times(code.read(marker), slope), path.source, "+=")
        self.made[slot.name] = replace(feed.made, slot=replace(
            slot, vector=(*slot.vector, *code.lines), refs={**slot.refs, **code.refs},
            functions={**slot.functions, **functions_of(code.lines)},
        ))  # fmt: skip

    @staticmethod
    def _trace(feed: Feed, state: str) -> str:
        return f"{feed.traces}.{state.partition('.')[2]}"

    def _filtered(self, owner: str, states: Sequence[str], size: int) -> None:
        """Slots that filter traces as a group filters what arrives.

        Arguments:
            owner: Of the traces, one variable for each state.
            states: Keys of the variables of the group.
            size: Number of traces.
        """
        for slot, made in self.filters.updates(states):
            rows = {key: row for key, row in made.rows.items() if key in states}
            code = Code(self.known, f"{owner}_{slot.name}", slot, size)
            new: dict[str, ast.expr] = {}
            for key, row in rows.items():
                total: ast.expr = ZERO
                for seed, tree in row.items():
                    if seed.key in states:
                        trace = code.read(f"{owner}.{seed.key.partition('.')[2]}")
                        total = plus(total, times(self._slope(code, slot, key, seed, tree), trace))
                value = ast.Constant(0.0) if total is ZERO else total
                new[key] = code.define(f"_new_{len(new)}", value)
            for key, tree in new.items():
                code.set(f"{owner}.{key.partition('.')[2]}", tree)
            self.after.setdefault(slot.name, []).append(code.update())

    def _slope(self, code: Code, slot: Slot, key: str, seed: Seed, tree: ast.expr) -> ast.expr:
        """A slope of a group whose neurons are all alike."""
        if isinstance(tree, ast.Constant):
            return tree
        size = self.program.groups[key.partition(".")[0]].size
        return code.read(self._store(slot, key, seed, tree), None if size == 1 else
                         np.zeros(code.size, np.int64))  # fmt: skip

    def _store(self, slot: Slot, key: str, seed: Seed, tree: ast.expr) -> str:
        """The variable that holds a slope of a slot."""
        name = f"{slot.name}_slopes.{key.partition('.')[2]}_by_{seed.key.partition('.')[2]}"
        self.known.declare(name, np.zeros(slot.size))
        self.stored.setdefault(slot.name, {})[name] = tree
        return name

    # ---- writing

    def _written(self, slot: Slot) -> list[Slot]:
        """What runs in the place of a slot."""
        made, before = self.made[slot.name], self.before.get(slot.name, [])
        after = self.after.get(slot.name, [])
        if isinstance(made, Delivery):
            return [*before, made.slot, *after]
        if made is None or slot.name not in self.stored:
            return [*before, slot, *after]
        for key, value in made.variables.items():
            self.known.declare(key, value)
        refs = dict(made.code.refs)
        lines = [define(name.replace(".", "_"), tree, op="=")
                 for name, tree in self.stored[slot.name].items()]  # fmt: skip
        refs |= {name.replace(".", "_"): Ref(name) for name in self.stored[slot.name]}
        code = replace(
            made.code, vector=(*made.code.vector, *lines), refs=refs,
            functions={**made.code.functions, **functions_of(lines)},
        )  # fmt: skip
        both = [*before, *made.before, code, *self._kept(slot), *after]
        return both if made.inside else [*both, slot]

    def _kept(self, slot: Slot) -> Iterator[Slot]:
        """Slots that keep values as they are when a threshold is tested."""
        for key, longest in self.past.get(slot.name, {}).items():
            size = self.known.size(key)
            code = Code(self.known, f"{slot.name}_keeps_{key.replace('.', '_')}", slot, size)
            for ago in range(longest, 0, -1):
                before = code.read(self._past(slot, key, ago - 1))
                code.set(self._past(slot, key, ago), before)
            code.set(self._past(slot, key, 0), code.read(key))
            yield code.update()

    def _past(self, slot: Slot, key: str, ago: int) -> str:
        """Key of a value as it was when a threshold was tested, some steps ago."""
        name = f"{slot.name}_past.{key.replace('.', '_')}_{ago}"
        return self.known.declare(name, np.zeros(self.known.size(key)))

    def _then(self, slot: Slot, key: str, ago: int) -> str:
        """The same, to be kept from now on."""
        longest = self.past.setdefault(slot.name, {})
        longest[key] = max(longest.get(key, 0), ago)
        return self._past(slot, key, ago)

    # ---- signals

    def _signal(self, key: str) -> str:
        owner, _, name = key.partition(".")
        return f"{owner}_signals.{name if key not in self.spikes else f'of_{name}'}"

    def _gather(self, key: str) -> None:
        """Slots that turn the signal of what the loss reads into gradients."""
        group = key.partition(".")[0]
        signal = self.known.declare(self._signal(key), np.zeros(self.known.elements(key)))
        if key in self.spikes:
            slot = self._threshold_of(group)
            place = Place(self.position[slot.name], self.after.setdefault(slot.name, []), slot)
            self._of_spikes(group, signal, place, 0, ())
            return
        like = self.program.slots[min(self.program.early, len(self.program.slots) - 1)]
        like = replace(like, dt=self.program.dt, every=1, clock_dt=self.program.dt)
        place = Place(self.program.early - 0.5, self.early, like)
        for feed in self._feeds_of(group):
            if key in self.filters.of(feed.entry):
                self._gradient(feed, place, [(signal, self._trace(feed, key))])
        if self.through:
            self._back(group, {key: signal}, place, place.position, 0, (group,))

    def _feeds_of(self, group: str) -> list[Feed]:
        return [feed for feed in self.feeds if feed.entry.partition(".")[0] == group]

    def _gradient(self, feed: Feed, place: Place, pairs: Sequence[tuple[str, str]]) -> None:
        """A slot that adds signals times traces to a gradient.

        Arguments:
            feed: The synapses.
            place: Where that is.
            pairs: Key of a value of each receiver, and of one of each sender.
        """
        slot = feed.made.slot
        size, source = slot.size, self.program.pathways[slot.pathway].source
        total = f"{feed.traces}_{feed.entry.partition('.')[2]}_{slot.name}.gradient"
        if total not in self.known.variables:
            variable = self.program.variables[feed.parameter]
            self.known.declare(total, np.zeros(size))
            self.totals[feed.parameter].append(
                Total(total, None if variable.scalar else np.arange(size))
            )
        goes = feed.made.goes[feed.entry]
        name = f"{total.partition('.')[0]}_{place.like.name}_{len(place.slots)}"
        code = Code(self.known, name, place.like, size)
        value: ast.expr = ZERO
        for receiver, sender in pairs:
            value = plus(value, times(code.read(receiver, goes), code.read(sender, source)))
        code.set(total, value, op="+=")
        place.slots.append(code.update())

    def _threshold_of(self, group: str) -> Threshold:
        found = [t for t in self.program.slots_of(Threshold) if t.event == f"{group}.spike"]
        if found[0].every != 1:
            raise GradientError(
                f"{self.rule}: {found[0].name} does not run at each step, and signals pass from"
                " step to step. Write rule=mn.RTRL(...)."
            )
        return found[0]

    def _of_spikes(
        self, group: str, signal: str, place: Place, step: int, passed: tuple[str, ...]
    ) -> None:
        """Slots that follow a signal of the spikes of a group.

        Arguments:
            group: It.
            signal: Key of the signal of each of its neurons.
            place: Where that is there.
            step: When the spikes were, from the step of that place.
            passed: Groups on the way, from the loss on.
        """
        slot = self._threshold_of(group)
        made = self.made[slot.name]
        if not isinstance(made, Carrier):
            return
        if made.refused:
            raise GradientError(made.refused)
        ago = (0 if self.position[slot.name] <= place.position else -1) - step
        weighed: dict[str, str] = {}
        for seed, tree in made.rows[slot.event].items():
            slope = self._then(slot, self._store(slot, slot.event, seed, tree), ago)
            name = f"{signal.replace('.', '_')}_{group}.by_{seed.key.partition('.')[2]}"
            self.known.declare(name, np.zeros(self.program.groups[group].size))
            code = Code(self.known, name.replace(".", "_"), place.like, self.known.size(name))
            code.set(name, times(code.read(signal), code.read(slope)))
            place.slots.append(code.update())
            weighed[seed.key] = name
        for feed in self._feeds_of(group):
            pairs = [(weighed[state], self._then(slot, self._trace(feed, state), ago))
                     for state in self.filters.of(feed.entry) if state in weighed]  # fmt: skip
            if pairs:
                self._gradient(feed, place, pairs)
        if self.through:
            at = self.position[slot.name]
            self._back(group, weighed, place, at, step, (*passed, group))

    # ---- through layers

    def _back(
        self, group: str, signals: Mapping[str, str], place: Place, at: float, step: int,
        passed: tuple[str, ...],
    ) -> None:  # fmt: skip
        """Send signals of a group back to the neurons whose spikes were the last to reach it.

        Arguments:
            group: It.
            signals: Key of a variable of the group to that of its signal.
            place: Where these are there.
            at: Where in its step the variables had their values.
            step: Which step that was, from that of the place.
            passed: Groups on the way, from the loss on.
        """
        for made in list(self.made.values()):
            if not isinstance(made, Delivery) or made.slot.event not in self.spikes:
                continue
            source = made.slot.event.partition(".")[0]
            for entry in made.added if source not in passed else ():
                if entry.partition(".")[0] != group:
                    continue
                delay = self._delay(made)
                at_sender = self.position[self._threshold_of(source).name]
                mine = self.position[made.slot.name]
                then = step - (mine > at) - delay - (at_sender > mine)
                into = self._sent(made, entry, signals, place, at, (*passed, source))
                if into:
                    self.followed.add(made.slot.name)
                    self._of_spikes(source, into, place, then, passed)

    def _delay(self, made: Delivery) -> int:
        delays = np.unique(self.program.pathways[made.slot.pathway].delay)
        if len(delays) > 1 or made.slot.every != 1:
            raise GradientError(
                f"{self.rule}: the synapses {made.slot.owner!r} lie between layers and have delays"
                " of several lengths, or a clock of their own, and a signal goes back through all"
                " of them at once. Write rule=mn.RTRL(...)."
            )
        return int(delays[0]) if len(delays) else 0

    def _sent(
        self, made: Delivery, entry: str, signals: Mapping[str, str], place: Place, at: float,
        passed: tuple[str, ...],
    ) -> str:  # fmt: skip
        """Slots that send signals back through synapses; the key of what arrives, if anything."""
        states = [key for key in self.filters.of(entry) if key in signals]
        if not states:
            return ""
        slot, source = made.slot, passed[-1]
        name = "_".join((*reversed(passed), slot.name, entry.partition(".")[2], place.like.name))
        pairs = Code(self.known, f"{name}_back", place.like, slot.size)
        total: ast.expr = ZERO
        for state in states:
            share = pairs.read(self._impulse(made, entry, state, at), np.zeros(slot.size, int))
            signal = pairs.read(signals[state], made.goes[entry])
            total = plus(total, times(signal, share))
        pairs.define("_synaptic_var", times(pairs.read(self._worth(made, entry)), total))
        size = self.program.groups[source].size
        into = self.known.declare(f"{name}_signals.of_spike", np.zeros(size))
        index = self.known.index_of(self.program.pathways[slot.pathway].source)
        place.slots.append(pairs.sum(Ref(into, index), size))
        return into

    def _impulse(self, made: Delivery, entry: str, state: str, at: float) -> str:
        """What is left, at a place of the next step, of one that was added to a variable.

        Arguments:
            made: The synapses that added it.
            entry: Where.
            state: The variable that is looked at.
            at: The place.
        """
        slot, states = made.slot, self.filters.of(entry)
        owner = f"{slot.name}_impulse_{entry.partition('.')[2]}"
        if f"{owner}.{states[0].partition('.')[2]}" not in self.known.variables:
            for key in states:
                self.known.declare(f"{owner}.{key.partition('.')[2]}", np.zeros(1))
            self._filtered(owner, states, 1)
            code = Code(self.known, f"{owner}_begins", slot, 1)
            for key in states:
                code.set(f"{owner}.{key.partition('.')[2]}", ast.Constant(float(key == entry)))
            self.before.setdefault(slot.name, []).append(code.update())
        key = f"{owner}.{state.partition('.')[2]}"
        threshold = self.program.slots[int(at)] if at == int(at) else None
        return key if threshold is None else self._then(threshold, key, 0)

    def _worth(self, made: Delivery, entry: str) -> str:
        """The variable with what a spike adds through each synapse."""
        slot = made.slot
        name = f"{slot.name}_worth.{entry.replace('.', '_')}"
        if name in self.known.variables:
            return name
        if entry in made.left or self._changes(slot, made.worth[entry]):
            raise GradientError(
                f"{self.rule}: the synapses {slot.owner!r} between layers are plastic, and a signal"
                " goes back through weights that stay. Write rule=mn.RTRL(...)."
            )
        self.known.declare(name, np.zeros(slot.size))
        local = name.replace(".", "_")
        lines = [*made.alone, define(local, made.worth[entry], op="=")]
        refs = {**slot.refs, local: Ref(name)}
        self.before.setdefault(slot.name, []).append(
            beside(slot, f"{slot.name}_worth", lines, refs)
        )
        return name

    def _changes(self, slot: Slot, tree: ast.expr) -> bool:
        """Whether a value reads, by itself, what a run changes."""
        written = self.program.written()
        read = [slot.refs[name].variable for name in names(tree) if name in slot.refs]
        return bool(written & {*read})

    def _say_cuts(self) -> None:
        """What spikes do that no signal comes back from."""
        for slot in self.program.slots_of(Deliver):
            made, group = self.made[slot.name], slot.event.partition(".")[0]
            if not isinstance(made, Delivery) or slot.event not in self.spikes:
                continue
            for owner in dict.fromkeys(key.partition(".")[0] for key in made.added):
                late = " later than at its next step" if slot.name in self.followed else ""
                self.cuts[f"{slot.name}: what a spike of {group} does to {owner}{late}"] = None

    def _require_reached(self) -> None:
        for key, totals in self.totals.items():
            if not totals:
                through = "to the layers before" if self.through else "from layer to layer"
                hint = "" if self.through else "not "
                raise GradientError(
                    f"{self.rule}: nothing that the loss reads ({', '.join(self.read)}) depends on"
                    f" {key!r}: signals {hint}go back {through}, from what the loss reads. Let the"
                    " loss read the spikes or potentials of the neurons that it acts on, leave"
                    f" {key!r} out of train, or write rule=mn.BPTT()."
                )
