"""Subset: what of a Program GeNN cannot do as Brian2 does, all of it at once.

Two routes lead to GeNN. "genn" is our own translation to PyGeNN 5; "brian2genn" is Brian2GeNN 1.7
(Stimberg, Goodman & Nowotny 2020, doi:10.1038/s41598-019-54957-7) with GeNN 4, which accepts less,
and accepts some of it wrongly: it fails in its compiler, or spikes are a step off.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mirrorneuron.errors import Outside

from ..lower.dataflow import reads
from ..lower.expression import names
from ..program import Deliver, Generate, Host, Program, Slot, Statement, Sum, Threshold, Update
from .emit import splits
from .language import KNOWN, RANDOM
from .layout import SOURCES, Layout

ROUTES = ("genn", "brian2genn")
CLASSES = 500
BOTH = "genn, brian2genn"


def findings(program: Program, route: str = "genn") -> tuple[Outside, ...]:
    """Everything in a Program that lies outside of what a route can do.

    Arguments:
        program: The network.
        route: "genn" or "brian2genn".
    """
    layout = Layout(program)
    found = list(_Genn(program, layout).all())
    if route == "brian2genn":
        found += _Brian2Genn(program, layout).all()
    return tuple(dict.fromkeys(found))


@dataclass
class _Checker:
    program: Program
    layout: Layout

    def kind(self, name: str) -> str:
        """Class of an object."""
        return self.program.groups[name].kind if name in self.program.groups else "Network"

    def outside(
        self, slot: Slot | None, owner: str, what: object, why: str, instead: str, route: str = BOTH
    ) -> Outside:
        """A finding."""
        where = f"{slot.name}: {what}" if slot is not None else str(what)
        return Outside(owner, self.kind(owner), where, route, why, instead)


class _Genn(_Checker):
    """What our own route cannot do; the other one cannot either, or not in this way."""

    def all(self) -> Iterator[Outside]:
        """Every finding."""
        if hosts := list(self.program.slots_of(Host)):
            yield from map(self._host, hosts)
            return
        yield from self._network()
        for slot in self.program.slots:
            yield from self._slot(slot)
        for name in self.layout.groups:
            yield from self._group(name)
        for name in self.layout.synapses:
            yield from self._synapses(name)
        yield from self._deliveries()

    def _host(self, slot: Host) -> Outside:
        return self.outside(
            None, slot.name, f"Python between steps, {slot.title}",
            "A compiled simulation runs none.",
            "Write it as equations, or run it on Brian2's numpy target.",
        )  # fmt: skip

    # ---- the network

    def _network(self) -> Iterator[Outside]:
        program = self.program
        if program.step:
            yield self.outside(
                None, "network", f"it was run for {program.step} steps before",
                "Spikes that are under way are not carried over.",
                "Make the network anew in build(), with the values that it should start from.",
            )  # fmt: skip
        for name, place in program.ignored.items():
            yield self.outside(
                None, name, "a monitor of your own",
                "It would stay empty: nothing is recorded by Brian2.",
                f"Leave it out and write record=['cells.v'], or use result.spikes (now {place}).",
            )  # fmt: skip
        served = [k for k, s in enumerate(program.slots) if isinstance(s, Deliver)]
        for slot in program.slots[: served[-1]][self.layout.cut :] if served else ():
            if not isinstance(slot, Deliver) and not slot.samplers:
                yield self._disorder(slot)
        for slot in self.layout.late:
            if isinstance(slot, Threshold | Generate):
                yield self._disorder(slot)

    def _disorder(self, slot: Slot) -> Outside:
        return self.outside(
            slot, slot.owner, f"when={slot.when!r}, order={slot.order}",
            "GeNN serves all synapses together, between the thresholds of one step and the resets"
            " and updates of the next.",
            "Leave when and order as they are, and the network's schedule too.",
        )  # fmt: skip

    # ---- slots

    def _slot(self, slot: Slot) -> Iterator[Outside]:
        event = getattr(slot, "event", "x.spike")
        if not event.endswith(".spike"):
            yield self.outside(
                slot, slot.owner, f"the event {event.split('.')[1]!r}",
                "Only spikes travel.",
                "Give the event a NeuronGroup of its own, whose threshold is its condition.",
            )  # fmt: skip
        for statement in slot.statements:
            yield from self._functions(slot, statement)
            yield from self._scalars(slot, statement)
        if self.kind(slot.owner) in SOURCES and not isinstance(slot, Threshold | Generate):
            yield self.outside(
                slot, slot.owner, "code of a spike source",
                "Spikes of a source are drawn before the run.",
                "Use a NeuronGroup with threshold='rand() < rates*dt'.",
            )  # fmt: skip
        if self.kind(slot.owner) == "PoissonGroup" and reads(slot) & self.layout.written:
            yield self.outside(
                slot, slot.owner, "rates that depend on what changes",
                "Spikes of a PoissonGroup are drawn before the run.",
                "Use a NeuronGroup with threshold='rand() < rates*dt'.",
            )  # fmt: skip
        if slot.every > 1 and (not isinstance(slot, Update) or self._is_late(slot)):
            yield self.outside(
                slot, slot.owner, f"dt = {slot.dt * 1e3:g} ms beside {self.program.dt * 1e3:g} ms",
                "GeNN has one clock.",
                f"Give it dt={self.program.dt * 1e3:g}*ms.",
            )  # fmt: skip
        for ref in slot.refs.values():
            if self.program.variables[ref.variable].single:
                yield self.outside(
                    slot, slot.owner, f"{ref.variable} in single precision",
                    "Mixed precision is rounded in another way there.",
                    "Leave out dtype, or choose precision='float' for the whole model.",
                )  # fmt: skip
        yield from self._links(slot)

    def _is_late(self, slot: Slot) -> bool:
        return slot in self.layout.late

    def _functions(self, slot: Slot, statement: Statement) -> Iterator[Outside]:
        known = KNOWN | set(slot.tables) | set(slot.samplers)
        for name in set(names(statement.tree)):
            if name in slot.functions and name not in known:
                yield self.outside(
                    slot, slot.owner, statement, f"{name}() has no counterpart in GeNN.",
                    "Write it with exp, log, sqrt, sin, cos, tan, tanh, clip, abs, sign, floor,"
                    " ceil, int, exprel, rand, randn and arithmetic.",
                )  # fmt: skip
            if name in RANDOM and self.kind(slot.owner) == "Synapses":
                yield self.outside(
                    slot, slot.owner, statement, "Synapses of GeNN draw no random numbers.",
                    "Draw the number in the neuron that spikes or receives, or before the run.",
                )  # fmt: skip
            if slot.functions.get(name) in self.program.functions:
                yield self.outside(
                    slot, slot.owner, statement, f"{name}() is a function of yours.",
                    "Write its formula into the equation.",
                )  # fmt: skip

    def _scalars(self, slot: Slot, statement: Statement) -> Iterator[Outside]:
        ref = slot.refs.get(statement.target)
        if ref is not None and self.program.variables[ref.variable].scalar:
            yield self.outside(
                slot, slot.owner, statement,
                f"{ref.variable} is shared: one value, which GeNN's neurons cannot write.",
                "Put it into a NeuronGroup of one neuron, or let each neuron have its own.",
            )  # fmt: skip

    def _links(self, slot: Slot) -> Iterator[Outside]:
        """Variables that change and are not the slot's own, or reached in another order."""
        program = self.program
        synaptic = self.kind(slot.owner) == "Synapses"
        for name, ref in slot.refs.items():
            variable = program.variables[ref.variable]
            if ref.variable not in self.layout.written or variable.scalar:
                continue
            own = variable.owner == slot.owner
            if synaptic:
                fits = (own and ref.index is None) or (self.layout.side(slot, ref) and not own)
            else:
                fits = own and self.layout.start(slot, ref.index) is not None
            if not fits:
                yield self.outside(
                    slot, slot.owner, f"{name} is {ref.variable} of another object, which changes",
                    "A neuron sees its own variables, a synapse those of its two neurons.",
                    "Bring the value by a summed variable of a Synapses.",
                )  # fmt: skip
        if not synaptic and not isinstance(slot, Generate) and self.layout.part(slot) is None:
            yield self.outside(
                slot, slot.owner, "a part of a group that is no range",
                "A neuron knows its number alone.",
                "Give each neuron a parameter that is 1 in the part and 0 elsewhere.",
            )  # fmt: skip

    # ---- groups

    def _group(self, name: str) -> Iterator[Outside]:
        """Resets that come at once, because sums read what they set."""
        layout = self.layout
        if not layout.is_plain(name):
            return
        late = layout.of(layout.late, name)
        touched = {k for s in late for k in s.written() | reads(s)}
        for slot in layout.served:
            mine = set(reads(slot)) | set(layout.added(slot))
            if shared := sorted(mine & touched):
                yield self.outside(
                    slot, slot.owner, f"{', '.join(shared)}, which the reset of {name!r} sets too",
                    "A summed variable reads it, and then resets cannot wait for the synapses.",
                    f"Let spikes change a current or conductance of {name!r} instead.",
                )  # fmt: skip

    # ---- synapses

    def _synapses(self, name: str) -> Iterator[Outside]:
        layout, program = self.layout, self.program
        slots = layout.of(program.slots, name)
        if not slots or not len(layout.edges(name)[0]):
            return
        pre, post = layout.ends(name)
        if not pre or (not post and any(program.slots_of(Sum, name))):
            yield self.outside(
                None, name, "a Synapses at both ends of which nothing happens",
                "It has no population to belong to.", "Leave it out.",
            )  # fmt: skip
        if "Synapses" in (self.kind(pre) if pre else "", self.kind(post) if post else ""):
            yield self.outside(
                None, name, "synapses onto synapses", "Only neurons receive.",
                "Keep the value in the neurons.",
            )  # fmt: skip
            return
        for slot in slots:
            yield from self._served(slot)
            yield from self._step(slot)
        if not splits(layout, name):
            yield from self._plastic(name, slots)

    def _plastic(self, name: str, slots: tuple[Slot, ...]) -> Iterator[Outside]:
        layout, program = self.layout, self.program
        for side, most in (("pre", 2), ("post", 1)):
            paths = layout.deliveries(name, side)
            if len(paths) > most:
                yield self.outside(
                    paths[most], name, f"more than {most} on_{side} of plastic synapses",
                    f"A synapse of GeNN has {most} reactions to a {side}synaptic spike.",
                    "Join them, or use two Synapses.",
                )  # fmt: skip
        if len(layout.deliveries(name, "pre")) > 1:
            yield from self._relayed(name, slots)
        served = list(program.slots_of(Deliver, name))
        targets = {k for s in served for k in layout.added(s)}
        targets |= {s.target.variable for s in program.slots_of(Sum, name)}
        if len(targets) > 1:
            yield self.outside(
                None, name, f"it delivers into {', '.join(sorted(targets))}",
                "A plastic synapse of GeNN delivers into one variable.",
                "Use a Synapses for each, or let one of the variables follow the other in the"
                " equations of the neurons.",
            )  # fmt: skip
        order = [layout.direction(s) for s in served]
        if "post" in order and "pre" in order[order.index("post") :]:
            yield self.outside(
                None, name, "on_post comes before on_pre",
                "GeNN serves presynaptic spikes first.", "Leave order as it is.",
            )  # fmt: skip
        delays = [program.pathways[s.pathway].delay for s in served]
        classes = len(np.unique(np.stack(delays), axis=1).T) if delays else 1
        if classes > CLASSES:
            yield self.outside(
                None, name, f"{classes} different delays of plastic synapses",
                f"Each is a population of its own, and more than {CLASSES} are too many.",
                "Round the delays to fewer values.",
            )  # fmt: skip

    def _relayed(self, name: str, slots: tuple[Slot, ...]) -> Iterator[Outside]:
        """Two reactions to a presynaptic spike: they come through a relay."""
        layout, program = self.layout, self.program
        for slot in slots:
            if isinstance(slot, Deliver) and layout.direction(slot) == "pre":
                delay = program.pathways[slot.pathway].delay
                if len(delay) and delay.min() < 1:
                    yield self.outside(
                        slot, name, "one of two on_pre of plastic synapses, without a delay",
                        "Two reactions come through neurons that repeat spikes a step later.",
                        f"Give it a delay of at least {program.dt * 1e3:g} ms, join the two, or use"
                        " two Synapses.",
                    )  # fmt: skip
            for ref in slot.refs.values():
                if layout.side(slot, ref) == "pre" and ref.variable in layout.written:
                    yield self.outside(
                        slot, name, f"it reads {ref.variable} beside two on_pre",
                        "Two reactions come through neurons that repeat spikes and nothing else.",
                        "Keep the value in the synapse.",
                    )  # fmt: skip

    def _served(self, slot: Slot) -> Iterator[Outside]:
        """What a spike does."""
        if not isinstance(slot, Deliver):
            return
        layout, path = self.layout, self.program.pathways[slot.pathway]
        if len(path.pending):
            yield self.outside(
                slot, slot.owner, f"{len(path.pending)} spikes under way",
                "They are not carried over.", "Make the network anew in build().",
            )  # fmt: skip
        added = layout.added(slot)
        for key, places in added.items():
            for k in places:
                statement = slot.statements[k]
                ref = slot.refs[statement.target]
                if statement.op not in ("+=", "-=") or layout.side(slot, ref) != "post":
                    yield self.outside(
                        slot, slot.owner, statement, "A synapse adds to the neuron that receives,"
                        " and does nothing else to a neuron.",
                        "Write += for the postsynaptic neuron, and use a Synapses the other way"
                        " round for the presynaptic one.",
                    )  # fmt: skip
                elif path.side == "post":
                    yield self.outside(
                        slot, slot.owner, statement, "Code of on_post cannot reach a neuron.",
                        "Use a Synapses of its own from the group that spikes.",
                    )  # fmt: skip
            if key in reads(_without(slot, places)):
                yield self.outside(
                    slot, slot.owner, f"it reads {key}, to which it adds",
                    "GeNN adds everything when all synapses are served.",
                    "Let the neuron's equations do it, from a variable to which spikes add.",
                )  # fmt: skip
        for ref in slot.refs.values():
            if ref.variable not in layout.written or ref.variable in added:
                continue
            if layout.side(slot, ref) == "pre" and path.side == "pre" and path.max_delay:
                yield self.outside(
                    slot, slot.owner, f"it reads {ref.variable} after a delay",
                    "GeNN reads it when the spike starts, Brian2 when it arrives.",
                    "Read a variable of the postsynaptic neuron, or leave out the delay.",
                )  # fmt: skip
            if layout.side(slot, ref) == path.side == "post" and path.max_delay:
                yield self.outside(
                    slot, slot.owner, f"it reads {ref.variable} after a delay of on_post",
                    "GeNN reads it when the spike starts, Brian2 when it arrives.",
                    "Leave out the delay of on_post.",
                )  # fmt: skip

    def _step(self, slot: Slot) -> Iterator[Outside]:
        """What happens at every synapse in every step."""
        if not isinstance(slot, Update | Sum) or self.kind(slot.owner) != "Synapses":
            return
        layout, slots = self.layout, self.program.slots
        if slot in layout.late:
            yield self.outside(
                slot, slot.owner, f"when={slot.when!r}",
                "GeNN changes all synapses before spikes are served, and not after.",
                "Write when='start'.",
            )  # fmt: skip
            return
        if isinstance(slot, Update):
            after = slots[slots.index(slot) + 1 : layout.cut]
            read = reads(slot)
            plain = {
                k for s in layout.late if s.owner != slot.owner and layout.is_plain(s.owner)
                for k in s.written()
            }  # fmt: skip
            if moved := sorted(read & ({k for s in after for k in s.written()} | plain)):
                yield self.outside(
                    slot, slot.owner, f"it reads {', '.join(moved)}, which changes later in a step",
                    "GeNN changes synapses after the neurons.",
                    "Give the Synapses a later order than the neurons, order=1.",
                )  # fmt: skip
            for statement in slot.statements:
                ref = slot.refs.get(statement.target)
                if ref is not None and layout.side(slot, ref) is not None:
                    yield self.outside(
                        slot, slot.owner, statement, "Only sums bring values to a neuron.",
                        "Use a summed variable.",
                    )  # fmt: skip
            return
        yield from self._sum(slot)

    def _sum(self, slot: Sum) -> Iterator[Outside]:
        layout, slots = self.layout, self.program.slots
        if layout.side(slot, slot.target) != "post":
            yield self.outside(
                slot, slot.owner, "a sum over the presynaptic neuron",
                "A synapse of GeNN brings sums to the postsynaptic neuron.",
                "Turn the Synapses round.",
            )  # fmt: skip
            return
        read, before = reads(slot), slots[: slots.index(slot)]
        changed = {k for s in layout.served for k in [*s.written(), *layout.added(s)]}
        late = {
            k for s in layout.late if s.samplers or not layout.is_plain(s.owner)
            for k in s.written()
        }  # fmt: skip
        early = {k for s in before if not isinstance(s, Sum) for k in s.written()}
        after = {
            k for s in slots[slots.index(slot) + 1 : layout.cut] if s.owner == slot.owner
            for k in s.written() if s.every > 1
        }  # fmt: skip
        for cause, keys in (
            ("spikes change it", changed), ("code after the synapses changes it", late),
            ("code before the sum changes it", early), ("slow code changes it", after),
        ):  # fmt: skip
            if shared := sorted(read & keys):
                yield self.outside(
                    slot, slot.owner, f"the sum reads {', '.join(shared)}: {cause}",
                    "GeNN sums before spikes are served: the sum would be one step old.",
                    "Put the filter into the equations of the neuron, and let spikes add to it.",
                )  # fmt: skip

    def _deliveries(self) -> Iterator[Outside]:
        """A variable to which one slot adds has to be read by others before."""
        layout = self.layout
        inside = [
            s for s in self.program.slots[layout.cut :] if isinstance(s, Deliver) or s.samplers
        ]
        for k, writer in enumerate(inside):
            delivers = isinstance(writer, Deliver)
            added = set(layout.added(writer)) if delivers else writer.written()
            for reader in inside[k + 1 :]:
                if not isinstance(reader, Deliver):
                    continue
                read = reads(_without(reader, [
                    p for places in layout.added(reader).values() for p in places
                ]))  # fmt: skip
                if shared := sorted(read & added):
                    yield self.outside(
                        reader, reader.owner,
                        f"it reads {', '.join(shared)}, to which {writer.name!r} adds before",
                        "GeNN adds everything when all synapses are served.",
                        f"Let it come first: give it a lower order than {writer.order}.",
                    )  # fmt: skip


def _without(slot: Slot, places: list[int]) -> Slot:
    """A slot whose lines at some places read no longer what they add to."""
    lines = [
        replace(s, target="", op="=") if k in places else s for k, s in enumerate(slot.statements)
    ]
    return replace(slot, scalar=(), vector=tuple(lines))


class _Brian2Genn(_Checker):
    """What Brian2GeNN cannot do beyond that."""

    def all(self) -> Iterator[Outside]:
        """Every finding."""
        for slot in self.program.slots:
            yield from self._slot(slot)
        for name in self.layout.synapses:
            yield from self._synapses(name)
        for name in self.layout.groups:
            yield from self._group(name)

    def _group(self, name: str) -> Iterator[Outside]:
        """Brian2GeNN resets before it serves spikes."""
        layout = self.layout
        late = layout.of(layout.late, name)
        touched = {k for s in late for k in s.written() | reads(s)}
        started = [s for s in layout.of(layout.early, name) if s.when == "start"]
        for slot in started:
            added = {k for s in layout.served for k in layout.added(s)}
            if shared := sorted((reads(slot) | slot.written()) & added):
                yield self.only(
                    slot, name, f"it touches {', '.join(shared)}, to which spikes add",
                    "Brian2GeNN serves spikes after run_regularly, Brian2 before.",
                    "Write it into the equations.",
                )  # fmt: skip
        for slot in layout.served:
            if shared := sorted((reads(slot) | set(layout.added(slot))) & touched):
                yield self.only(
                    slot, slot.owner, f"{', '.join(shared)}, which the reset of {name!r} touches",
                    "Brian2GeNN serves spikes in the next step, after the reset: others follow.",
                    "Let spikes change a current or conductance instead.",
                )  # fmt: skip

    def only(self, slot: Slot | None, owner: str, what: object, why: str, instead: str) -> Outside:
        """A finding of this route alone."""
        return self.outside(slot, owner, what, why, instead, "brian2genn")

    def _slot(self, slot: Slot) -> Iterator[Outside]:
        if slot.tables and not slot.name.split("_run_regularly")[1:]:
            yield self.only(
                slot, slot.owner, f"the TimedArray {', '.join(slot.tables)}",
                "Brian2GeNN takes none in equations and rates.",
                "Copy it into a parameter by run_regularly.",
            )  # fmt: skip
        if "exprel" in slot.functions:
            yield self.only(
                slot, slot.owner, "exprel", "Brian2GeNN does not know it.",
                "Write (exp(x) - 1)/x, with a case for x = 0.",
            )  # fmt: skip
        if self.kind(slot.owner) == "PoissonGroup" and not set(slot.refs) & {"rates"}:
            yield self.only(
                slot, slot.owner, "rates as an expression",
                "Its code fails in Brian2GeNN's compiler.",
                "Use a NeuronGroup with threshold='rand() < rates*dt'.",
            )  # fmt: skip
        if isinstance(slot, Update) and self.kind(slot.owner) == "Synapses":
            read = {s for s in slot.refs.values() if self.layout.side(slot, s) == "post"}
            if read and "run_regularly" in slot.name:
                yield self.only(
                    slot, slot.owner, "run_regularly that reads the postsynaptic neuron",
                    "Its code fails in Brian2GeNN's compiler.", "Read synaptic variables alone.",
                )  # fmt: skip

    def _synapses(self, name: str) -> Iterator[Outside]:
        layout, program = self.layout, self.program
        sums = list(program.slots_of(Sum, name))
        served = list(program.slots_of(Deliver, name))
        for slot in served:
            path = program.pathways[slot.pathway]
            if len(np.unique(path.delay)) > 1:
                yield self.only(
                    slot, name, "synapses with different delays",
                    "Brian2GeNN has one delay for all synapses of an object.",
                    "Use a Synapses for each delay.",
                )  # fmt: skip
            if len(layout.added(slot)) > 1:
                yield self.only(
                    slot, name, f"it adds to {' and '.join(sorted(layout.added(slot)))}",
                    "Brian2GeNN's synapses add to one variable.", "Use a Synapses for each.",
                )  # fmt: skip
            for places in layout.added(slot).values():
                for k in places:
                    if slot.statements[k].op == "-=":
                        yield self.only(
                            slot, name, slot.statements[k], "Brian2GeNN knows += alone.",
                            "Write += -x.",
                        )  # fmt: skip
            for ref in slot.refs.values():
                changes = ref.variable in layout.written
                if changes and layout.side(slot, ref) == "pre" and path.side == "pre":
                    yield self.only(
                        slot, name, f"it reads {ref.variable} of the presynaptic neuron",
                        "Brian2GeNN does not.", "Keep the value in the synapse.",
                    )  # fmt: skip
        pre = [s for s in served if layout.direction(s) == "pre"]
        if len(pre) > 1:
            yield self.only(
                pre[1], name, "a second on_pre", "Brian2GeNN takes one.", "Use two Synapses."
            )
        if sums and (served or len(sums) > 1):
            yield self.only(
                sums[0], name, "a summed variable beside other code",
                "Brian2GeNN refuses it, or spikes come one step off.",
                "Give each sum a Synapses of its own.",
            )  # fmt: skip
        for slot in sums:
            if slot.span != (0, program.groups[layout.ends(name)[1]].size):
                yield self.only(
                    slot, name, "a sum into a part of a group", "Brian2GeNN refuses it.",
                    "Sum into the whole group.",
                )  # fmt: skip
