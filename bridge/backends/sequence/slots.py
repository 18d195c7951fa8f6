"""Slots: the functions of a network's slots, forward and backward, as text.

A forward function changes the state and returns what its reverse needs of it; tensors are never
changed in place, so that keeping a value costs a reference.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from ...lower.adjoint import spike_value
from ...lower.condition import Chance, Condition, Margin
from ...lower.derivative import ONE, derivative
from ...lower.expression import Renderer, names
from ...lower.flat import Flat, pulls
from ...lower.margin import MARGIN
from ...lower.step import Accumulate, Keep, Write
from ...program import Deliver, Generate, Reset, Sum, Threshold
from .._body import KEPT, Body
from .._plan import Plan, Work
from .pulls import Pulls, called
from .statements import Numbers, Statements, by_name, local


class Written(NamedTuple):
    """Text of a slot.

    Arguments:
        forward, backward: Lines; the reverse has none where no gradient passes.
        saved: Names of what the reverse needs.
        dt: Time step of the clock that statements read [s].
        every: The slot runs in every so many steps.
    """

    forward: list[str]
    backward: list[str]
    saved: tuple[str, ...]
    dt: float
    every: int


class Slots:
    """Writes the functions of a plan.

    Arguments:
        plan: What the network does.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.program = plan, plan.program
        self.numbers = Numbers()

    def _text(self, body: Body) -> Statements:
        """What writes the values of a body."""
        return Statements(self.program, body, self.numbers)

    def written(self) -> list[Written]:
        """The functions of all slots, in order."""
        return [self.slot(work) for work in self.plan.works]

    def slot(self, work: Work) -> Written:
        """The functions of a slot."""
        match work.slot:
            case Generate():
                return self._generate(work, work.slot)
            case Threshold():
                return self._threshold(work, work.slot)
            case Reset():
                return self._reset(work, work.slot)
            case Deliver():
                return self._deliver(work, work.slot)
            case Sum():
                return self._sum(work, work.slot)
            case _:
                return self._update(work)

    def _joined(
        self, work: Work, forward: Iterable[str], backward: Sequence[str], needs: Set[str]
    ) -> Written:
        """A slot whose reverse gets what it needs."""
        slot = work.slot
        saved = tuple(map(local, sorted(needs))) if backward else ()
        dt = slot.clock_dt or self.program.dt
        return Written([*forward], [*backward], saved, dt, slot.every)

    # ---- updates and values

    def _update(self, work: Work) -> Written:
        body = work.body
        assert body is not None
        back, needs = self._back_update(body) if self.plan.passes(work) else ([], set[str]())
        text, wanted = self._text(body), body.ends | needs
        forward = [*text.loads(wanted), *text.steps(wanted), *text.stores()]
        return self._joined(work, forward, back, needs)

    def _back_update(self, body: Body) -> tuple[list[str], set[str]]:
        carrying = self.plan.carrying(body)
        made = Pulls(self.plan, body, carrying, self._text(body))
        seeds = {final: made.seed(name) for name, final in body.final.items() if final in carrying}
        made.back(seeds)
        made.store()
        return made.lines, made.needs

    def value(self, body: Body) -> Written:
        """A value that is recorded, `value`; its derivative is `by`."""
        carrying = self.plan.carrying(body)
        made = Pulls(self.plan, body, carrying, self._text(body))
        (outcome,) = body.outcomes
        if outcome in carrying:
            made.back({outcome: "by"})
            made.store()
        text, wanted = self._text(body), body.ends | made.needs
        forward = [*text.loads(wanted), *text.steps(wanted), f"value = {local(outcome)}"]
        back = made.lines if outcome in carrying else []
        saved = tuple(map(local, sorted(made.needs))) if back else ()
        return Written(forward, back, saved, body.slot.clock_dt or self.program.dt, 1)

    # ---- events

    def _generate(self, work: Work, slot: Generate) -> Written:
        back = [f"c.imposed({slot.event!r})"] if slot.event in self.plan.active else []
        return self._joined(work, [], back, set())

    def _threshold(self, work: Work, slot: Threshold) -> Written:
        body, condition = work.body, work.condition
        assert body is not None and condition is not None
        event, driven = slot.event, slot.event in self.plan.driven
        active = event in self.plan.active
        back, needs, keeps = list[str](), set[str](), list[str]()
        if active and driven:
            back = [f"c.imposed({event!r})"]
        elif active:
            back, needs, keeps = self._back_threshold(work, slot)
        text = self._text(body)
        wanted = body.ends | needs if not driven or body.draws else set[str]()
        forward = [*text.loads(wanted), *text.steps(wanted)] if wanted else []
        forward += self._loads_of_escape(event, needs)
        if active and event in self.plan.speeds:
            forward[:0] = self._speed(event)
        if driven:
            pass  # an input gives the spikes
        elif isinstance(condition, Margin):
            margin = text.write(condition.tree)
            forward.append(f"c.cross({event!r}, {margin}, {condition.strict})")
        else:
            forward.append(f"c.raised({event!r}, {text.condition(condition)})")
        forward += keeps
        if slot.refractory:
            for name, value in (("not_refractory", "False"), ("lastspike", "c.t")):
                key = f"{slot.owner}.{name}"
                forward.append(f"S[{key!r}] = c.marked(S[{key!r}], {event!r}, {value})")
        return self._joined(work, forward, back, needs)

    def _loads_of_escape(self, event: str, needs: Set[str]) -> Iterator[str]:
        """Lines that read what limits the derivative of an escape rate."""
        if event in self.plan.escapes:
            inner, _ = self.plan.escapes[event]
            text = self._text(inner)
            for name, ref in inner.refs.items():
                if name in needs:
                    yield f"{local(name)} = {text.value_of(ref, 'S')}"

    def _speed(self, event: str) -> Iterator[str]:
        """Lines that keep the margin and the velocity of the neurons that raise an event."""
        body = self.plan.speeds[event]
        text = Statements(self.program, body, self.numbers, {"_below": f"c.below[{event!r}]"})
        wanted = set(body.outcomes)
        margin, speed = map(local, body.outcomes)
        yield "if c.tape:"
        for line in (*text.loads(wanted), *text.steps(wanted)):
            yield f"    {line}"
        yield f"    c.keep_passage({event!r}, {margin}, {speed})"

    def _back_threshold(self, work: Work, slot: Threshold) -> tuple[list[str], set[str], list[str]]:
        body, condition, event = work.body, work.condition, slot.event
        assert body is not None and condition is not None
        whole, parts = spike_value(condition)
        carrying = self.plan.carrying(body)
        text = self._text(body)
        made = Pulls(self.plan, body, carrying, text)
        escape = self.plan.escapes.get(event) if self.plan.follows(event) else None
        limit, needs = "", set[str]()
        if escape is not None:
            inner, (slope, depth) = escape
            steps = self._text(inner)
            made.lines += steps.steps({slope, depth})
            needs = set(inner.read({slope, depth}))
            product = f"{local(slope)} * {local(depth)}"
            limit = f" / c.at_least_one({product})"
        seeds: dict[str, str] = {}
        keeps: list[str] = []
        for k, part in enumerate(parts):
            if not isinstance(part, Margin | Chance):
                continue
            tree = part.tree if isinstance(part, Margin) else part.probability
            name = next(iter(names(tree)), "")
            if name not in carrying:
                continue
            seed = "ds" + self._share_of_part(whole, parts, k, text)
            if isinstance(part, Margin):
                if event not in self.plan.speeds:
                    keeps.append(f"c.keep_margin({event!r}, {k}, {local(name)})")
                seed += f" * c.slope({event!r}, {k})"
            else:
                sign = "" if part.below else "-"
                seed = f"{sign}{seed} * c.inside({text.name(name)}){limit}"
            made.lines.append(f"seed_{k} = {seed}")
            seeds[name] = f"seed_{k}"
        made.back(seeds)
        made.store()
        kept = {n for part in parts if isinstance(part, Margin) for n in names(part.tree)}
        own = made.needs | needs
        lines = [f"    {line}" for line in made.lines]
        head = [f"ds = c.by_spikes({event!r})", "if ds is not None:"]
        return [*head, *lines], own, keeps if kept else []

    def _share_of_part(
        self, whole: ast.expr, parts: Sequence[Condition], k: int, text: Statements
    ) -> str:
        """Factor by which a part of a condition counts."""
        factor = derivative(whole, f"_{k}")
        if factor is ONE or (isinstance(factor, ast.Constant) and factor.value == 1):
            return ""

        def number(name: str) -> str:
            return f"c.number({text.condition(parts[int(name[1:])])})"

        return f" * {Renderer(number, called)(factor)}"

    def _reset(self, work: Work, slot: Reset) -> Written:
        body = work.body
        assert body is not None
        back, needs = self._back_reset(work, slot) if self.plan.passes(work) else ([], set[str]())
        text, wanted = self._text(body), body.ends
        extra = needs - {f.name for f in body.flats}
        loads = body.read(wanted | needs)
        other = [n for n in extra if n not in loads]
        forward = [*text.loads(wanted | needs)]
        if other:
            moved, _ = self.plan.at_threshold(work)
            at = self._text(moved)
            forward += [f"{local(n)} = {at.value_of(moved.refs[n], 'S')}" for n in other]
        shifts = {n: self._shift(body, n) for n in body.final}
        plain = {n for n in body.final if shifts[n] is None}
        ends = {body.final[n] for n in plain} | needs & {f.name for f in body.flats}
        forward += text.steps(ends)
        later = self._later(slot)
        forward.append(f"s_ = c.answered({slot.event!r}, {later})")
        for name, final in body.final.items():
            forward.append(self._reset_line(body, text, name, final, shifts[name]))
        return self._joined(work, forward, back, needs)

    def _reset_line(
        self, body: Body, text: Statements, name: str, final: str, shift: Flat | None
    ) -> str:
        ref = body.refs[name]
        old = f"S[{ref.variable!r}]"
        if shift is not None:
            match shift.operation.tree:
                case ast.BinOp(op=op, right=right):
                    sign = "-" if isinstance(op, ast.Sub) else "+"
                    one = isinstance(right, ast.Constant) and right.value == 1
                    more = "s_" if one else f"s_ * {text.operand(right)}"
                    return f"{old} = {old} {sign} {more}"
                case _:
                    raise TypeError(shift)
        variable = self.program.variables[ref.variable]
        fast = text.finite(final) and variable.kind == "float" and not variable.single
        seen = text.value_of(ref, "S") if ref.index else old
        chosen = f"c.{'mixed' if fast else 'chosen'}(s_, {local(final)}, {seen})"
        return (
            f"{old} = c.put({old}, {ref.index!r}, {chosen})" if ref.index else f"{old} = {chosen}"
        )

    def _shift(self, body: Body, name: str) -> Flat | None:
        """The operation that adds a number to a variable, if nothing else is done to it."""
        final, ref = body.final[name], body.refs[name]
        made = next(f for f in body.flats if f.name == final)
        variable = self.program.variables[ref.variable]
        if ref.index or variable.kind != "float" or variable.single or variable.value.size == 1:
            return None
        used = [
            f for f in body.flats if f is not made and {final, name} & set(names(f.operation.tree))
        ]
        operation = made.operation
        if made.before != name or used or not isinstance(operation, Write) or operation.guard:
            return None
        match operation.tree:
            case ast.BinOp(
                left=ast.Name(id=left), op=ast.Add() | ast.Sub(), right=ast.Constant() as right
            ) if left == name and not isinstance(right.value, bool):
                return made
            case ast.BinOp(
                left=ast.Name(id=left), op=ast.Add() | ast.Sub(), right=ast.Name(id=right)
            ) if left == name and right.startswith(KEPT):
                return made
            case _:
                return None

    def _later(self, slot: Reset | Deliver) -> int:
        return slot.every if self.plan.later(slot) else 0

    def _back_reset(self, work: Work, slot: Reset) -> tuple[list[str], set[str]]:
        body = work.body
        assert body is not None
        follows, event = self.plan.follows(slot.event), slot.event
        moved, start = self.plan.at_threshold(work) if follows else (body, dict[str, str]())
        carrying = self.plan.carrying(moved)
        text = self._text(moved)
        made = Pulls(self.plan, moved, carrying, text)
        written = {
            name: final for name, final in moved.final.items()
            if self.program.variables[moved.refs[name].variable].kind == "float"
            and moved.refs[name].variable in self.plan.active
        }  # fmt: skip
        later = self._later(slot)
        if follows:
            self._follow(slot, moved, start, written, made, later)
        else:
            self._detach(moved, carrying, written, made)
        if any("s_" in line.replace("s__", "") for line in made.lines):
            made.lines.insert(0, f"s_ = c.answered({event!r}, {later})")
        if follows:  # the values of a neuron at threshold are computed on the way back
            ends = {n for n in text.used if any(f.name == n for f in moved.flats)}
            steps = self._text(moved)
            head = [*steps.steps(ends)]
            return [*head, *made.lines], set(moved.read(ends | text.used)) & set(moved.refs)
        return made.lines, text.used

    def _follow(
        self,
        slot: Reset,
        moved: Body,
        start: dict[str, str],
        written: dict[str, str],
        made: Pulls,
        later: int,
    ) -> None:
        """Through the jump of a neuron at threshold, which every spike adds."""
        text = made.text
        if written and slot.event in self.plan.active:
            for name, final in written.items():
                jump = f"({text.name(final)} - {text.name(start.get(name, name))})"
                jump += self._depth(slot, moved.refs[name].variable)
                made.lines.append(
                    f"c.add_spikes({slot.event!r}, {later}, {made.seed(name)} * {jump})"
                )
        seeds = {final: f"({made.seed(name)} * s_)" for name, final in written.items()
                 if final in made.carrying}  # fmt: skip
        begun = {start.get(name, name): f"(-{made.seed(name)} * s_)" for name in written
                 if start.get(name, name) in made.carrying}  # fmt: skip
        made.back(seeds, extra=begun)
        made.store(keep=set(written))

    def _detach(self, body: Body, carrying: Set[str], written: dict[str, str], made: Pulls) -> None:
        """Through the statements where they were executed; elsewhere derivatives stay."""
        shifts = {n for n in written if self._only_shifts(body, n, carrying)}
        seeds = {final: f"({made.seed(name)} * s_)" for name, final in written.items()
                 if final in carrying and name not in shifts}  # fmt: skip
        made.back(seeds)
        made.store(keep=shifts, rest="(1 - s_)")

    def _only_shifts(self, body: Body, name: str, carrying: Set[str]) -> bool:
        """Whether nothing passes but to the variable itself, whole."""
        shift = self._shift(body, name)
        found = () if shift is None else pulls(shift.operation.tree, carrying)
        return [pull.source for pull in found] == [name]

    def _depth(self, slot: Reset, key: str) -> str:
        """Factor by which the jump of the variable that crosses the threshold counts."""
        found, gradient = self.plan.crossing(slot.event), self.plan.gradients[slot.event]
        if gradient.reset is None or found is None or found.variable != key:
            return ""
        return "" if slot.event in self.plan.driven else f" * c.depth({slot.event!r})"

    # ---- synapses

    def _deliver(self, work: Work, slot: Deliver) -> Written:
        body = work.body
        assert body is not None
        matrix = self.plan.matrix(work)
        if matrix is None:
            return self._synapses(work, slot, body)
        to, gate = matrix.target, "None"
        needs: set[str] = set()
        forward: list[str] = []
        if matrix.guard:
            gate = local("gate")
            forward.append(f"{gate} = S[{matrix.guard!r}]")
            needs = {"gate"}
        made = f"P[{work.number}].forward"
        if self.program.variables[to].single:
            made = f"c.fit({made}(c.widen(S[{to!r}]), {gate}, k), S[{to!r}])"
        else:
            made = f"{made}(S[{to!r}], {gate}, k)"
        forward.append(f"S[{to!r}] = {made}")
        back: list[str] = []
        if self.plan.passes(work):
            back = [f"P[{work.number}].backward(A[{to!r}], {gate}, k)"]
        return self._joined(work, forward, back, needs)

    def _carries(self, slot: Deliver) -> bool:
        return slot.event in self.plan.active or slot.pathway in self.plan.active

    def _synapses(self, work: Work, slot: Deliver, body: Body) -> Written:
        back, needs = list[str](), set[str]()
        if self.plan.passes(work):
            back, needs = self._back_synapses(work, slot, body)
        text = self._text(body)
        wanted = body.ends | needs
        forward = [f"s_ = c.arriving({work.number})", *text.loads(wanted)]
        names_ = body.needed(wanted)
        for made in names_:
            forward += self._serve(body, text, made)
        for name, final in body.kept.items():
            to = f"S[{body.refs[name].variable!r}]"
            fast = "mixed" if text.finite(final) else "chosen"
            new = f"c.{fast}(s_, {local(final)}, {text.name(name)})"
            forward.append(f"{to} = c.fit({new}, {to})")
        return self._joined(work, forward, back, needs)

    def _serve(self, body: Body, text: Statements, made: Flat) -> Iterator[str]:
        """Lines of an operation for all synapses."""
        operation, value = made.operation, local(made.name)
        match operation:
            case Keep():
                yield f"{value} = {text.value(made)}"
            case Accumulate(ref=ref, guard=guard):
                yield f"{value} = {text.fitted(made)}"
                gate = text.name(guard) if guard else "None"
                to = f"S[{ref.variable!r}]"
                fast = text.finite(made.name)
                yield f"{to} = c.accumulate({to}, {ref.index!r}, s_, {value}, {gate}, {fast})"
            case _:
                yield text.step(made)

    def _back_synapses(self, work: Work, slot: Deliver, body: Body) -> tuple[list[str], set[str]]:
        all_ = self._carries(slot)
        carrying = self.plan.carrying(body, arrives=all_)
        text = self._text(body)
        made = Pulls(self.plan, body, carrying, text)
        head = [f"s_ = c.arriving({work.number})", "total = 0.0"]
        made.lines += head
        kept = body.kept
        carried = {name: final for name, final in kept.items() if final in carrying}
        timeless = body.timeless(self.program)
        for name, final in carried.items():
            by = f"by_{local(name)}"
            made.lines.append(f"{by} = {made.seed(name)}")
            if all_ and name not in timeless:
                made.lines.append(f"total = total + {by} * {self._worth(body, text, name, final)}")
            if self.program.variables[body.refs[name].variable].kind == "float":
                made.add(final, f"{by} * s_")
        for flat in reversed(body.flats):
            self._back_through(made, flat, all_)
        for name in carried:
            if name in carrying:
                made.add(name, f"by_{local(name)} * (1 - s_)")
        made.store(keep=set(body.final) - set(kept))
        if all_:
            made.lines.append(f"c.add_arrived({work.number}, total)")
        return made.lines, text.used

    def _worth(self, body: Body, text: Statements, name: str, final: str) -> str:
        """What a spike changes of a synaptic variable, as it is stored."""
        aged = body.aged(name)
        if aged is None:
            return f"({text.name(final)} - {text.name(name)})"
        now, left = aged
        return f"c.stored(s_, {text.name(final)} - {text.name(now)}, {text.name(left)})"

    def _back_through(self, made: Pulls, flat: Flat, all_: bool) -> None:
        operation, text = flat.operation, made.text
        match operation:
            case Accumulate(ref=ref, guard=guard):
                if ref.variable not in self.plan.active:
                    return
                by = f"c.seen(A[{ref.variable!r}], {ref.index!r})"
                by = f"f.where({text.name(guard)}, {by}, 0.0)" if guard else by
                made.lines.append(f"by_ = {by}")
                if all_:
                    made.lines.append(f"total = total + by_ * {text.name(flat.name)}")
                if pulls(operation.tree, made.carrying):
                    made.lines.append("by_ = by_ * s_")
                    made.pull(flat, "by_")
            case _:
                if flat.name in made.known:
                    made.pull(flat, by_name(flat.name))

    def _sum(self, work: Work, slot: Sum) -> Written:
        body, target, (low, high) = work.body, slot.target, slot.span
        assert body is not None
        to, (outcome,) = f"S[{target.variable!r}]", body.outcomes
        carrying = self.plan.carrying(body)
        back, needs = list[str](), set[str]()
        if self.plan.passes(work):
            made = Pulls(self.plan, body, carrying, self._text(body))
            by = f"A[{target.variable!r}]"
            made.lines.append(f"by_ = c.seen({by}, {target.index!r})")
            made.lines.append(f"{by} = c.cleared({by}, {low}, {high})")
            made.back({outcome: "by_"} if outcome in carrying else {})
            made.store()
            back, needs = made.lines, made.needs
        text, wanted = self._text(body), body.ends | needs
        forward = [*text.loads(wanted), *text.steps(wanted)]
        given = f"{to}, c.index({target.index!r}), {local(outcome)}, {low}, {high}"
        forward.append(f"{to} = c.sum({given})")
        return self._joined(work, forward, back, needs)


def margin_of(slot: Threshold) -> str:
    """Key of the distance to threshold that a slot tests."""
    return f"{slot.event}{MARGIN}"
