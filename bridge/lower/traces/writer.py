"""Writing: the slots that change traces, beside or in the place of the slots of a network."""

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mirrorneuron.errors import GradientError

from ...program import Array, Deliver, Ref, Slot, Statement, Sum
from ..derivative import ONE, ZERO, plus, times
from .carrier import SPIKED, Delivery, beside, require_no_draws
from .moves import Move, Moves, Part, Term, Trace
from .names import Code, Names
from .seat import Seat
from .slopes import Seed, Slopes, define, functions_of, where

LEAST = 1e-30  # below that share of what is stored, a synapse has been silent for too long


class Writer:
    """Writes slots.

    Arguments:
        known: Variables and index arrays; new ones are added.
        moves: What slots do to traces.
    """

    def __init__(self, known: Names, moves: Moves) -> None:
        self.known, self.moves, self.seats = known, moves, moves.seats
        self.spikes = moves.spikes

    def written(self, part: Part) -> list[Slot]:
        """What runs in the place of a slot."""
        if not part.moves:
            return [part.slot]
        if part.delivery is not None:
            return list(self._delivering(part, part.delivery))
        if part.carrier is None:
            return [part.slot]
        for key, value in part.carrier.variables.items():
            self.known.declare(key, value)
        code = self._with_slopes(part)
        made = [*part.carrier.before, code]
        if isinstance(part.slot, Sum):
            return [*made, *self._sums(part), part.slot]
        updates = list(self._updates(part))
        if part.carrier.spiked:
            return [*made, part.carrier.slot, self._gated(part, part.carrier.spiked), *updates]
        return [*made, *updates] if part.carrier.inside else [*made, *updates, part.slot]

    def _gated(self, part: Part, spiked: str) -> Slot:
        """A slot that leaves the traces of neurons alone that did not spike."""
        slot = part.slot
        code = Code(self.known, f"{slot.name}_gated", slot, slot.size)
        there = ast.Compare(code.read(spiked), [ast.Gt()], [ast.Constant(0)])
        used = {self._slope_name(slot, key, seed): (key, seed) for key, seed, _ in self._used(part)}
        for name, (key, seed) in used.items():
            if seed.key not in self.spikes:
                stays = ONE if seed.key == key else ast.Constant(0)
                code.set(name, where(there, code.read(name), stays))
        return code.update()

    def _used(self, part: Part) -> Iterator[tuple[str, Seed, ast.expr]]:
        """Slopes that some trace needs and that are no numbers."""
        for move in part.moves:
            if move.kind == "spikes":
                continue
            row = part.row(move)
            for term in move.terms:
                if part.gated or not isinstance(row[term.seed], ast.Constant):
                    yield move.target.key, term.seed, row[term.seed]

    def _with_slopes(self, part: Part) -> Slot:
        """The carrier of a slot, which keeps the slopes that are needed."""
        if part.carrier is None:
            return part.slot
        code, refs = part.carrier.code, dict(part.carrier.code.refs)
        lines: dict[str, Statement] = {}
        for key, seed, tree in self._used(part):
            name = self._slope_name(part.slot, key, seed)
            self.known.declare(name, np.zeros(part.slot.size))
            local = name.replace(".", "_")
            refs[local] = Ref(name)
            lines[local] = define(local, tree, op="=")
        functions = {**code.functions, **functions_of(lines.values())}
        return replace(code, vector=(*code.vector, *lines.values()), refs=refs,
                       functions=functions)  # fmt: skip

    def _slope_name(self, slot: Slot, key: str, seed: Seed) -> str:
        """Key of the variable that holds a slope."""
        owner, _, name = key.partition(".")
        by_owner, _, by = seed.key.rpartition(".")
        short = by if by_owner == owner or not by_owner else f"{by_owner}_{by}"
        seen = "" if seed.index is None else f"_at_{seed.index.rpartition('_')[2]}"
        return f"{slot.name}_slopes.{name}_by_{short}{seen}"

    def _slope(self, code: Code, part: Part, move: Move, seed: Seed, element: Array) -> ast.expr:
        tree = part.row(move)[seed]
        if isinstance(tree, ast.Constant) and not part.gated:
            return tree
        return code.read(self._slope_name(part.slot, move.target.key, seed), element)

    def _value(self, code: Code, part: Part, move: Move) -> ast.expr:
        """What the terms of a move add up to."""
        total: ast.expr = ZERO
        for term in move.terms:
            slope = self._slope(code, part, move, term.seed, move.element)
            trace = ONE if term.trace is None else code.read(self.key(term.trace), term.place)
            total = plus(total, times(slope, trace))
        return ast.Constant(0.0) if total is ZERO else total

    def key(self, trace: Trace) -> str:
        return self.seats[trace.seat].key(trace.key)

    def _updates(self, part: Part) -> Iterator[Slot]:
        """Slots that change the traces of a slot that sets each element by itself."""
        groups: dict[tuple[str, bytes], list[Move]] = {}
        for move in part.moves:
            groups.setdefault((move.target.seat, move.chosen.tobytes()), []).append(move)
        for number, moves in enumerate(groups.values()):
            seat = self.seats[moves[0].target.seat]
            count = sum(1 for m in list(groups.values())[:number] if m[0].target.seat == seat.name)
            name = f"{seat.name}_{part.slot.name}" + (f"_{count}" if count else "")
            code = Code(self.known, name, part.slot, len(moves[0].chosen))
            new = [code.define(f"_new_{k}", self._value(code, part, move))
                   for k, move in enumerate(moves)]  # fmt: skip
            for tree, move in zip(new, moves, strict=True):
                code.set(self.key(move.target), tree, move.chosen)
            yield code.update()

    def _sums(self, part: Part) -> Iterator[Slot]:
        """Slots that set traces to sums over synapses."""
        for name, key in dict.fromkeys(move.target for move in part.moves):
            moves = [m for m in part.moves if m.target == (name, key)]
            pairs = [m for m in moves if m.kind == "pairs"]
            if len(pairs) == 1:
                yield self._sum_of(part, pairs[0], self.key(pairs[0].target))
            elif pairs:
                yield from self._sum_of_several(part, pairs)
            else:
                yield from self._sum_of_own(part, moves)

    def _sum_of_several(self, part: Part, moves: Sequence[Move]) -> Iterator[Slot]:
        """The sum of several sums."""
        target = moves[0].target
        seat = self.seats[target.seat]
        code = Code(self.known, f"{seat.name}_{part.slot.name}_all", part.slot, seat.size)
        total: ast.expr = ZERO
        for number, move in enumerate(moves):
            into = f"{part.slot.name}_parts_{number}_{seat.name}.{target.key.partition('.')[2]}"
            self.known.declare(into, np.zeros(seat.size))
            yield self._sum_of(part, move, into, f"_{number}")
            total = plus(total, code.read(into))
        code.set(self.key(target), total)
        yield code.update()

    def _sum_of(self, part: Part, move: Move, into: str, suffix: str = "") -> Sum:
        """A slot that sets a variable to the sum over pairs."""
        seat = self.seats[move.target.seat]
        code = Code(
            self.known, f"{seat.name}_{part.slot.name}{suffix}", part.slot, len(move.chosen)
        )
        code.define("_synaptic_var", self._value(code, part, move))
        index = self._pair_index(move)
        return code.sum(Ref(into, index), seat.size)

    def _pair_index(self, move: Move) -> str:
        if move.goes is None:
            raise TypeError("pairs go somewhere")
        return self.known.index_of(move.goes)

    def _sum_of_own(self, part: Part, moves: Sequence[Move]) -> Iterator[Slot]:
        """The same of the traces of one synapse, or neuron, each."""
        slot, seat = part.slot, self.seats[moves[0].target.seat]
        code = Code(self.known, f"{seat.name}_{slot.name}", slot, seat.size)
        total: ast.expr = ZERO
        for move in moves:
            if move.kind == "own":
                total = plus(total, self._value(code, part, move))
                continue
            for term in move.terms:
                summed = yield from self._summed_slope(part, move, term.seed)
                trace = ONE if term.trace is None else code.read(self.key(term.trace), term.place)
                total = plus(total, times(code.read(summed, seat.element), trace))
        code.set(self.key(moves[0].target), total)
        yield code.update()

    def _summed_slope(self, part: Part, move: Move, seed: Seed) -> Iterator[Slot]:
        """A slot that sums a slope over the synapses of each element; returns its variable."""
        slot, key = part.slot, move.target.key
        name = self._slope_name(slot, key, seed)
        summed = f"{slot.name}_sums.{name.partition('.')[2]}"
        if summed not in self.known.variables:
            self.known.declare(summed, np.zeros(self.known.elements(key)))
            code = Code(self.known, f"{slot.name}_sum_of_{name.partition('.')[2]}", slot, slot.size)
            tree = part.row(move)[seed]
            value = tree if isinstance(tree, ast.Constant) else code.read(name)
            code.define("_synaptic_var", value)
            target = slot.target if isinstance(slot, Sum) else None
            index = target.index if target is not None else seed.index
            yield code.sum(Ref(summed, index), self.known.elements(key))
        return summed

    # ---- synapses that deliver

    def _delivering(self, part: Part, made: Delivery) -> Iterator[Slot]:
        """Slots in the place of one that delivers."""
        slot = made.slot
        reached = [m for m in part.moves if m.kind == "reached"]
        wide = self._wide(part)
        arriving = [m for m in part.moves if m.kind in ("own", "pairs") and m not in wide]
        spikes = [m for m in part.moves if m.kind == "spikes"]
        filters = [m for m in part.moves if m.kind == "filter"]
        if slot.sequential and not all(_by_itself(m, made) for m in reached):
            raise GradientError(
                f"an online rule: {slot.name} reads and changes {reached[0].target.key!r}, one"
                " synapse after the other, and no trace follows that. Let the synapses add to a"
                " conductance or current of its own, or write rule=mn.BPTT()."
            )
        apart = {m.target for m in reached}
        yield from self._begun(part, reached, [m for m in arriving if m.target in apart])
        if spikes or filters:
            require_no_draws(made)
            yield self.worth(made, {m.target.key for m in (*spikes, *filters)})
        yield from self._stored(part, wide)
        yield self._with_arrivals(part, made, reached, arriving, apart)
        for target in dict.fromkeys(m.target for m in reached):
            yield self._reaching(part, target, [m for m in reached if m.target == target])
        yield from self._spread_wide(part, [m for m in wide if m.kind == "pairs"])
        yield from self._kept_wide(part, [m for m in wide if m.kind == "keep"])
        for move in spikes:
            yield from self._spreading(part, made, move)
        for move in filters:
            yield from self._filtering(made, move)
        yield from self._aged(slot, [*spikes, *filters])

    def _apart(self, slot: Slot, target: Trace) -> str:
        """Key of what arriving spikes add to a trace, where it is added later."""
        return f"{slot.name}_into_{target.seat}.{self.key(target).partition('.')[2]}"

    def _sums_name(self, slot: Slot, key: str, seed: Seed) -> str:
        return f"{slot.name}_sums.{self._slope_name(slot, key, seed).partition('.')[2]}"

    def _begun(
        self, part: Part, reached: Sequence[Move], arriving: Sequence[Move]
    ) -> Iterator[Slot]:
        """Slots that prepare what arriving spikes are going to add up, or to multiply."""
        slot = part.slot
        one = isinstance(slot, Deliver) and slot.sequential
        sums = {(m.target.key, t.seed) for m in reached for t in m.terms}
        starts = {
            self._sums_name(slot, *pair): (self.known.elements(pair[0]), float(one))
            for pair in sums
        }
        starts |= {
            self._apart(slot, m.target): (self.seats[m.target.seat].size, 0.0) for m in arriving
        }
        for key, (size, start) in starts.items():
            self.known.declare(key, np.zeros(size))
            code = Code(self.known, f"{key.replace('.', '_')}_start", slot, size)
            code.set(key, ast.Constant(start))
            yield code.update()

    def _with_arrivals(
        self,
        part: Part,
        made: Delivery,
        reached: Sequence[Move],
        arriving: Sequence[Move],
        apart: set[Trace],
    ) -> Slot:
        """The slot itself, with what arriving spikes do to traces."""
        slot = made.slot
        code = Code(self.known, slot.name, slot, slot.size)
        sums = {(m.target.key, t.seed) for m in reached for t in m.terms}
        for key, seed in sums:
            goes, slope = made.goes[key], made.added[key][seed]
            tree, op = (plus(ONE, slope), "*=") if slot.sequential else (slope, "+=")
            code.set(self._sums_name(slot, key, seed), tree, goes, op)
        for move in arriving:
            target = move.target
            into = self._apart(slot, target) if target in apart else self.key(target)
            value = self._arrived(code, made.added[target.key], move)
            if slot.sequential and target in apart:  # what comes after it multiplies it
                mine = next(iter(pair for pair in sums if pair[0] == target.key))
                so_far = code.read(self._sums_name(slot, *mine), made.goes[target.key])
                value = ast.BinOp(value, ast.Div(), so_far)
            code.set(into, value, move.goes, "+=")
        for name, tree in self._wide_slopes(part).items():
            code.set(name, tree)
        stored = {m.target.key for m in part.moves if m.kind == "spikes"} & set(made.left)
        for key in sorted(stored):  # where a spike comes, what is stored is as of now
            worth = self.worth_key(slot, key)
            code.set(worth, times(code.read(worth), code.read(self._left_key(slot, key))))
        wide = self._wide(part)
        kept = [m for m in part.moves if m.kind == "keep" and m not in wide]
        new = [code.define(f"_new_{k}", self._arrived(code, made.kept[m.target.key], m))
               for k, m in enumerate(kept)]  # fmt: skip
        for tree, move in zip(new, kept, strict=True):
            code.set(self.key(move.target), tree)
        return replace(
            slot, vector=(*slot.vector, *code.lines), refs={**slot.refs, **code.refs},
            functions={**slot.functions, **functions_of(code.lines)},
        )  # fmt: skip

    # ---- traces of more pairs than there are synapses

    def _wide(self, part: Part) -> list[Move]:
        """Moves that change other traces than one for each synapse."""
        each = np.arange(part.slot.size)
        return [
            m for m in part.moves
            if (m.kind in ("keep", "pairs") and not np.array_equal(m.element, each))
            or (m.kind == "keep" and self.seats[m.target.seat].size != len(each))
        ]  # fmt: skip

    def _wide_slopes(self, part: Part) -> dict[str, ast.expr]:
        """Variables for what traces outside the slot need of it, and the value of each."""
        wide = self._wide(part)
        found: dict[str, ast.expr] = {}
        for move in wide:
            row = part.row(move)
            for term in move.terms:
                name = self._slope_name(part.slot, move.target.key, term.seed)
                found[name] = row[term.seed]
        if wide:
            found[self._reached_name(part.slot)] = ONE
        return found

    def _reached_name(self, slot: Slot) -> str:
        return f"{slot.name}_slopes.{SPIKED}"

    def _stored(self, part: Part, wide: Sequence[Move]) -> Iterator[Slot]:
        """A slot that clears what the synapses which a spike reaches are going to tell."""
        slot = part.slot
        if not wide:
            return
        if isinstance(slot, Deliver) and slot.sequential:
            raise GradientError(
                f"an online rule: {slot.name} changes, one synapse after the other, what it reads,"
                f" and the traces of {wide[0].target.key!r} would need each value on the way. Let"
                " the synapses add to a variable of its own, or write rule=mn.BPTT()."
            )
        code = Code(self.known, f"{slot.name}_slopes_start", slot, slot.size)
        for name in self._wide_slopes(part):
            self.known.declare(name, np.zeros(slot.size))
            code.set(name, ast.Constant(0.0))
        yield code.update()

    def _spread_wide(self, part: Part, moves: Sequence[Move]) -> Iterator[Slot]:
        """Slots that add what arrived to traces, for each trace of what a synapse saw."""
        for number, move in enumerate(moves):
            seat = self.seats[move.target.seat]
            into = f"{part.slot.name}_wide_{number}_{seat.name}.added"
            self.known.declare(into, np.zeros(seat.size))
            yield self._sum_of(part, move, into, f"_wide_{number}")
            code = Code(self.known, f"{seat.name}_{part.slot.name}_widely_{number}", part.slot,
                        seat.size)  # fmt: skip
            code.set(self.key(move.target), code.read(into), op="+=")
            yield code.update()

    def _kept_wide(self, part: Part, moves: Sequence[Move]) -> Iterator[Slot]:
        """Slots that change the traces of synapses that a spike reached, by each parameter."""
        groups: dict[tuple[str, bytes], list[Move]] = {}
        for move in moves:
            groups.setdefault((move.target.seat, move.chosen.tobytes()), []).append(move)
        for number, same in enumerate(groups.values()):
            name = f"{same[0].target.seat}_{part.slot.name}_kept_{number}"
            code = Code(self.known, name, part.slot, len(same[0].chosen))
            marker = code.read(self._reached_name(part.slot), same[0].element)
            there = ast.Compare(marker, [ast.Gt()], [ast.Constant(0)])
            new = [code.define(f"_new_{k}", self._value(code, part, m)) for k, m in enumerate(same)]
            for tree, move in zip(new, same, strict=True):
                old = code.read(self.key(move.target), move.chosen)
                code.set(self.key(move.target), where(there, tree, old), move.chosen)
            yield code.update()

    def _arrived(self, code: Code, row: Slopes, move: Move) -> ast.expr:
        """What one arriving spike does to a trace, in the names of its synapse."""
        total: ast.expr = ZERO
        for term in move.terms:
            trace = ONE if term.trace is None else code.read(self.key(term.trace), term.place)
            total = plus(total, times(row[term.seed], trace))
        return ast.Constant(0.0) if total is ZERO else total

    def _reaching(self, part: Part, target: Trace, moves: Sequence[Move]) -> Slot:
        """A slot that lets what arrived change the traces of the neurons reached."""
        slot, seat = part.slot, self.seats[target.seat]
        code = Code(self.known, f"{seat.name}_{slot.name}", slot, seat.size)
        total: ast.expr = ZERO
        for move in moves:
            for term in move.terms:
                total = plus(total, times(*self._pair(part, code, move, term)))
        apart = self._apart(slot, target)
        arrived = code.read(apart) if apart in self.known.variables else ZERO
        if isinstance(slot, Deliver) and slot.sequential:
            ((factor, _),) = [self._pair(part, code, m, t) for m in moves for t in m.terms]
            here = plus(code.read(self.key(target)), arrived)
            code.set(self.key(target), times(factor, here))
        else:
            code.set(self.key(target), plus(total, arrived), op="+=")
        return code.update()

    def _pair(self, part: Part, code: Code, move: Move, term: Term) -> tuple[ast.expr, ast.expr]:
        """A slope that arriving spikes have summed up, and the trace that it is for."""
        element = self.seats[move.target.seat].element
        summed = code.read(self._sums_name(part.slot, move.target.key, term.seed), element)
        trace = ONE if term.trace is None else code.read(self.key(term.trace), term.place)
        return summed, trace

    # ---- spikes that reach groups without spikes

    def worth_key(self, slot: Slot, key: str) -> str:
        return f"{slot.name}_worth.{key.replace('.', '_')}"

    def _left_key(self, slot: Slot, key: str) -> str:
        return f"{slot.name}_left.{key.replace('.', '_')}"

    def worth(self, made: Delivery, keys: Collection[str], like: Slot | None = None) -> Slot:
        """A slot that works out what a spike through each synapse would add to some variables."""
        slot, refs = made.slot, dict(made.slot.refs)
        lines = list(made.alone)
        for key in sorted(keys):
            tree = made.worth[key]
            if key in made.left:
                share = self.known.declare(self._left_key(slot, key), np.zeros(slot.size))
                refs[share.replace(".", "_")] = Ref(share)
                lines.append(define(share.replace(".", "_"), made.left[key], op="="))
                some = ast.Compare(made.left[key], [ast.Gt()], [ast.Constant(LEAST)])
                tree = where(some, ast.BinOp(tree, ast.Div(), made.left[key]), ZERO)
            name = self.known.declare(self.worth_key(slot, key), np.zeros(slot.size))
            refs[name.replace(".", "_")] = Ref(name)
            lines.append(define(name.replace(".", "_"), tree, op="="))
        place = {} if like is None else {"when": like.when, "order": like.order}
        return beside(slot, f"{slot.name}_worth", lines, refs, **place)

    def _spreading(self, part: Part, made: Delivery, move: Move) -> Iterator[Slot]:
        """Slots that carry what a spike is worth to the traces of a group that does not spike."""
        slot, seat = made.slot, self.seats[move.target.seat]
        ((_, trace, place),) = move.terms
        if trace is None or move.goes is None:
            raise TypeError("a spike has a trace, and goes somewhere")
        source = self.seats[trace.seat]
        delays = self.moves.program.pathways[slot.pathway].delay[move.chosen]
        worth = self.worth_key(slot, move.target.key)
        total: ast.expr = ZERO
        code = Code(self.known, f"{seat.name}_{slot.name}_spikes", slot, seat.size)
        for delay in np.unique(delays):
            mine = np.flatnonzero(delays == delay)
            past = self._past(slot, source, trace, int(delay))
            into = self.known.declare(
                f"{slot.name}_reach_{seat.name}.after_{delay}", np.zeros(seat.size)
            )
            pairs = Code(self.known, f"{seat.name}_{slot.name}_after_{delay}", slot, len(mine))
            value = times(pairs.read(worth, move.chosen[mine]), pairs.read(past, place[mine]))
            pairs.define("_synaptic_var", value)
            index = self._pair_index(replace(move, goes=move.goes[mine]))
            yield pairs.sum(Ref(into, index), seat.size)
            total = plus(total, code.read(into))
        code.set(self.key(move.target), total, op="+=")
        yield code.update()

    def _filtering(self, made: Delivery, move: Move) -> Iterator[Slot]:
        """Slots that add the traces of spikes to their filters."""
        slot, seat = made.slot, self.seats[move.target.seat]
        ((_, trace, _),) = move.terms
        source = self.seats[seat.source]
        if trace is None:
            raise TypeError("a spike has a trace")
        delay = self.moves.program.pathways[slot.pathway].max_delay
        code = Code(self.known, f"{seat.name}_{slot.name}_spikes", slot, seat.size)
        code.set(self.key(move.target), code.read(self._past(slot, source, trace, delay)), op="+=")
        yield code.update()

    def _past(self, slot: Slot, source: Seat, trace: Trace, delay: int) -> str:
        """Key of the trace of spikes some deliveries ago."""
        if not delay:
            return self.key(trace)
        return self.known.declare(
            f"{source.name}_past_{slot.name}.ago_{delay}", np.zeros(source.size)
        )

    def _aged(self, slot: Deliver, moves: Sequence[Move]) -> Iterator[Slot]:
        """Slots that move the traces of past spikes one step on, once for all that read them."""
        longest: dict[Trace, int] = {}
        delay = self.moves.program.pathways[slot.pathway].delay
        for move in moves:
            ((_, trace, _),) = move.terms
            if trace is not None:
                mine = int(delay[move.chosen].max() if move.kind == "spikes" else delay.max())
                longest[trace] = max(longest.get(trace, 0), mine)
        for trace, steps in longest.items():
            yield from self._shifted(slot, self.seats[trace.seat], trace, steps)

    def _shifted(self, slot: Slot, source: Seat, trace: Trace, longest: int) -> Iterator[Slot]:
        """A slot that moves the traces of past spikes one step on."""
        if not longest:
            return
        code = Code(self.known, f"{source.name}_past_{slot.name}", slot, source.size)
        for delay in range(longest, 0, -1):
            before = code.read(self._past(slot, source, trace, delay - 1))
            code.set(self._past(slot, source, trace, delay), before)
        yield code.update()


def _by_itself(move: Move, made: Delivery) -> bool:
    """Whether what synapses add to a variable depends, among what they change, on it alone."""
    key = move.target.key
    return made.times[key] == 1 and {term.seed.key for term in move.terms} == {key}
