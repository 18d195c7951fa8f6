"""Loops: the text of a run and of its reverse, with a network's slots inside.

State, derivatives and constants are local names, so that a step costs little beside the operations
of torch that it consists of.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from ...finite import CHUNK
from ...lower.margin import MARGIN, is_margin
from ...program import Threshold
from .._plan import Plan
from .slots import Slots, Written

TIMED = ("c.t", "c.step", "c.draw", "c.marked")
HELD = re.compile(r"\b([SA])\['([^']+)'\]")
NUMBERED = re.compile(r"\b([KQNP])\[(\d+)\]")


class Loops:
    """Writes both loops.

    Arguments:
        plan: What the network does.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.program = plan, plan.program
        self.slots = Slots(plan)
        self.written = self.slots.written()
        self.values = {key: self.slots.value(body) for key, body in plan.values.items()}
        self.state = list(plan.state)
        self.active = [key for key in self.state if key in plan.active]
        self.traces = [k for k in plan.record if k in plan.state or k in plan.values]

    def text(self) -> str:
        """Both functions."""
        made = [self._function("run(S, K, Q, N, P, c, low, high, saved, traces)", self._run())]
        if self.plan.wanted is not None:
            head = "back(A, K, Q, N, P, c, low, high, saved, traces)"
            made.append(self._function(head, self._back()))
        return "\n\n\n".join(made) + "\n"

    def _function(self, head: str, body: Iterable[str]) -> str:
        """A function in which what is held stands in local names."""
        lines = [*body]
        text = "\n".join(lines)
        used = dict.fromkeys(NUMBERED.findall(text))
        first = [f"    {a}_{n} = {a}[{n}]" for a, n in used]
        text = NUMBERED.sub(r"\1_\2", HELD.sub(self._held, text))
        return "\n".join([f"def {head}:", "    f = c.f", *first, text])

    def _held(self, found: re.Match[str]) -> str:
        return f"{found[1]}_{self.state.index(found[2])}"

    # ---- forward

    def _run(self) -> Iterator[str]:
        early = self.program.early
        yield from (f"    S_{n} = S.get({key!r})" for n, key in enumerate(self.state))
        yield from (f"    t_{n} = traces.get({key!r})" for n, key in enumerate(self.traces))
        yield "    for k in range(low, high):"
        for line in self._step(early):
            yield f"        {line}"
        yield f"        if k % {CHUNK} == {CHUNK - 1} or k == c.last:"
        yield f"            c.check({self._present()}, k)"
        yield f"    S.update({self._present()})"

    def _present(self) -> str:
        return "{" + ", ".join(f"{key!r}: S_{n}" for n, key in enumerate(self.state)) + "}"

    def _step(self, early: int) -> Iterator[str]:
        yield "c.at(k)"
        for key in sorted(self.plan.driven & set(self.state)):
            yield f"S[{key!r}] = c.put_in({key!r}, S[{key!r}])"
        for number in range(early):
            yield from self._slot(number)
        for n, key in enumerate(self.traces):
            if key in self.plan.values:
                if not is_margin(key):
                    yield from self._value(n, key)
            else:
                yield f"if t_{n} is not None: t_{n}.append({self._chosen(key, f'S[{key!r}]')})"
        for number in range(early, len(self.written)):
            yield from self._slot(number)
        if self.plan.wanted is not None:
            yield f"if c.tape: saved.append({self._saved()})"

    def _chosen(self, key: str, text: str) -> str:
        return f"c.chosen_of({key!r}, {text})"

    def _slot(self, number: int) -> Iterator[str]:
        margin = self._margin(number)
        if margin:
            yield from self._value(self.traces.index(margin), margin)
        made = self.written[number]
        lines = [*self._clock(made, made.forward), *made.forward, *self._keep(f"w_{number}", made)]
        yield from _paced(made, lines, f"w_{number} = None" if made.saved else "")

    def _margin(self, number: int) -> str:
        slot = self.plan.works[number].slot
        key = f"{slot.event}{MARGIN}" if isinstance(slot, Threshold) else ""
        return key if key in self.values else ""

    def _clock(self, made: Written, lines: Sequence[str]) -> Iterator[str]:
        """The line that sets the time, if it is read."""
        if any(word in line for word in TIMED for line in lines):
            yield f"c.clock(c.tick, {made.dt!r})"

    def _keep(self, name: str, made: Written) -> Iterator[str]:
        if made.saved:
            yield f"{name} = ({', '.join(made.saved)},)"

    def _value(self, n: int, key: str) -> Iterator[str]:
        made = self.values[key]
        yield from self._clock(made, made.forward)
        yield from made.forward
        yield from self._keep(f"v_{n}", made)
        yield f"if t_{n} is not None: t_{n}.append(c.recorded({key!r}, value))"

    @property
    def _kept(self) -> list[str]:
        slots = [f"w_{n}" for n, w in enumerate(self.written) if w.saved]
        return slots + [f"v_{n}" for n, k in enumerate(self.traces)
                        if k in self.values and self.values[k].saved]  # fmt: skip

    def _saved(self) -> str:
        return f"({', '.join(self._kept)},)" if self._kept else "()"

    # ---- backward

    def _back(self) -> Iterator[str]:
        early = self.program.early
        for key in self.active:
            yield f"    {self._name(key)} = A.get({key!r})"
        yield from (f"    t_{n} = traces.get({key!r})" for n, key in enumerate(self.traces))
        yield "    for k in range(high - 1, low - 1, -1):"
        yield "        c.at(k)"
        if self._kept:
            yield f"        {self._saved()} = saved[k - low]"
        for line in self._step_back(early):
            yield f"        {line}"
        present = ", ".join(f"{key!r}: {self._name(key)}" for key in self.active)
        yield f"    A.update({{{present}}})"

    def _name(self, key: str) -> str:
        return f"A_{self.state.index(key)}"

    def _step_back(self, early: int) -> Iterator[str]:
        for number in range(len(self.written) - 1, early - 1, -1):
            yield from self._slot_back(number)
        for n, key in [*enumerate(self.traces)][::-1]:
            if key in self.plan.values:
                if not is_margin(key):
                    yield from self._value_back(n, key)
            elif key in self.active:
                by = f"c.spread({key!r}, t_{n}[k])"
                yield f"if t_{n} is not None: A[{key!r}] = A[{key!r}] + {by}"
        for number in range(early - 1, -1, -1):
            yield from self._slot_back(number)
        for key in sorted(self.plan.driven & set(self.active)):
            yield f"A[{key!r}] = c.take_out({key!r}, A[{key!r}])"

    def _slot_back(self, number: int) -> Iterator[str]:
        made, margin = self.written[number], self._margin(number)
        if made.backward:
            unpack = [f"({', '.join(made.saved)},) = w_{number}"] if made.saved else []
            yield from _paced(
                made, [*self._clock(made, made.backward), *unpack, *made.backward], ""
            )
        if margin:
            yield from self._value_back(self.traces.index(margin), margin)

    def _value_back(self, n: int, key: str) -> Iterator[str]:
        made = self.values[key]
        if not made.backward:
            return
        yield f"if t_{n} is not None:"
        unpack = [f"({', '.join(made.saved)},) = v_{n}"] if made.saved else []
        by = f"by = c.spread({key!r}, t_{n}[k])"
        for line in (*self._clock(made, made.backward), *unpack, by, *made.backward):
            yield f"    {line}"


def _paced(made: Written, lines: Sequence[str], other: str) -> Iterator[str]:
    """Lines of a slot, in the steps in which it runs."""
    if made.every == 1:
        yield from lines
        return
    yield from [other] if other else []
    yield f"if c.tick % {made.every} == 0:"
    yield from (f"    {line}" for line in lines or ["pass"])
