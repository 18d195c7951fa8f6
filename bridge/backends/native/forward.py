"""Forward: the C code of a step."""

import ast
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ...lower.condition import Condition, ConditionText
from ...lower.flat import Flat
from ...lower.step import Accumulate, Keep, Overwrite, Scale, Write
from ...program import Deliver, Generate, Reset, Sum, Threshold
from .._body import Body, uses
from .._plan import Matrix, Plan, Work
from .c_text import stored
from .function import Arrays, Elements, Function, draw_call, local

LARGE = 2**18  # elements of a matrix that a core's cache does not hold


class Forward:
    """Writes the functions that make a step.

    Arguments:
        plan: What the network does.
        arrays: What the code is given.
    """

    def __init__(self, plan: Plan, arrays: Arrays) -> None:
        self.plan, self.arrays, self.program = plan, arrays, plan.program
        self.stacks: dict[tuple[int, str], int] = {}
        self.numbered = {event: k for k, event in enumerate(plan.events)}
        self.drawn: dict[str, int] = {}
        self.later: dict[str, int] = {}

    def functions(self) -> Iterator[Function]:
        """All functions, in no particular order."""
        yield self.inputs()
        yield self.rows()
        yield self.recorded()
        for work in self.plan.works:
            yield self.slot(work)

    def slot(self, work: Work) -> Function:
        """The function of a slot."""
        f = Function(self.plan, self.arrays, work.title, work.slot)
        match work.slot:
            case Threshold():
                self._threshold(f, work, work.slot)
            case Generate():
                self._generate(f, work.slot)
            case Reset():
                self._reset(f, work, work.slot)
            case Deliver():
                self._deliver(f, work, work.slot)
            case Sum():
                self._sum(f, work, work.slot)
            case _:
                self._update(f, work)
        return f

    # ---- what goes back needs

    def stack(self, work: int, key: str) -> int:
        """Number of the stack of what a slot replaces in a variable."""
        return self.stacks.setdefault((work, key), len(self.stacks))

    def _keep_all(self, f: Function, number: int, keys: Iterator[str] | list[str]) -> None:
        """Keep what variables are before the slot, of every element."""
        for key in keys:
            if (number, key) in self.plan.undone and not self.plan.sparse(number, key):
                ctype, size = stored(self.program.variables[key]), f.size(key)
                old = f.array(("before", str(number), key), ctype)
                f.add(
                    f"if (tape) memcpy({old} + (kept * B + S->first) * {size}, {f.state(key)} +"
                    f" S->first * {size}, sizeof({ctype}) * {size} * (S->last - S->first));"
                )

    def _keep_one(self, f: Function, number: int, key: str, place: str) -> None:
        """Keep what an element of a variable is."""
        if (number, key) in self.plan.undone and self.plan.sparse(number, key):
            stack = self.stack(number, key)
            f.add(f"if (tape) keep(S, &S->undo[{stack}], {f.state(key)}[{place}]);")

    # ---- slots

    def inputs(self) -> Function:
        """Puts what is given from outside into variables."""
        f = Function(self.plan, self.arrays, "set_inputs", None)
        driven = [key for key in self.plan.state if key in self.plan.driven]
        self._keep_all(f, -1, driven)
        for key in driven:
            given, rows = f.array(("input", key), "real"), f.array(("rows", key), "long")
            gain = f.array(("gain", key), "double")
            state, size = f.state(key), f.size(key)
            with f.trials(), f.block(f"for (long i = 0; i < {size}; i++)"):
                f.add(f"const real value = {given}[{given_row(rows)} * {size} + i];")
                f.add(f"const real old = {state}[b * {size} + i]; const real g = {gain}[0];")
                lerp = "g < (real)0.5 ? old + g * (value - old) : value - (value - old) * (1 - g)"
                f.add(f"{state}[b * {size} + i] = {gain}[0] < 0 ? value : ({lerp});")
        return f

    def rows(self) -> Function:
        """Puts the rows that inputs give of TimedArrays where statements read them."""
        f = Function(self.plan, self.arrays, "set_rows", None)
        for table in {t.name for t in self.program.tables.values()} & self.plan.driven:
            given, rows = f.array(("input", table), "real"), f.array(("rows", table), "long")
            width = f.array(("width", table), "long")
            row = f.array(("row", table), "real")
            with f.trials(), f.block(f"for (long i = 0; i < {width}[0]; i++)"):
                f.add(f"{row}[b * {width}[0] + i] ="
                      f" {given}[{given_row(rows)} * {width}[0] + i];")  # fmt: skip
        return f

    def recorded(self) -> Function:
        """Copies what is recorded before the statements of the step, or between them."""
        f = Function(self.plan, self.arrays, "record", None)
        for key in self.plan.record:
            if key in self.plan.values:
                continue
            if key in self.plan.state:
                trace, chosen, width = self.trace(f, key)
                ctype = stored(self.program.variables[key])
                trace = f.array(("trace", key), "real" if ctype == "real" else ctype)
                with f.trials(), f.block(f"for (long j = 0; j < {width}; j++)"):
                    f.add(f"{trace}[(t * B + b) * {width} + j] ="
                          f" {f.state(key)}[b * {f.size(key)} + {chosen}[j]];")  # fmt: skip
        return f

    def trace(self, f: Function, key: str) -> tuple[str, str, str]:
        """Arrays of a trace, of the elements that are recorded and of their number."""
        ctype = "real"
        if key in self.plan.state:
            ctype = stored(self.program.variables[key])
        return (
            f.array(("trace", key), ctype),
            f.array(("chosen", key), "long"),
            self._width(f, key),
        )

    def _width(self, f: Function, key: str) -> str:
        """Number of elements that are recorded."""
        array = f.array(("recorded", key), "long")
        f.numbers.setdefault(array, f"const long W{array} = {array}[0];")
        return f"W{array}"

    def value(self, key: str, body: Body) -> Function:
        """Computes a value that is recorded."""
        f = Function(self.plan, self.arrays, value_title(self.plan, key), body.slot)
        trace, chosen, width = self.trace(f, key)
        with f.trials():
            self._draw(f, body)
            with f.block(f"for (long j = 0; j < {width}; j++)"):
                f.add(f"const long i = {chosen}[j];")
                e = Elements(f, body)
                f.add(*e.loads(), *e.drawn(), *e.steps())
                f.add(f"{trace}[(t * B + b) * {width} + j] = {local(body.outcomes[0])};")
        return f

    def _update(self, f: Function, work: Work) -> None:
        body = work.body
        assert body is not None
        self._keep_all(f, work.number, list(dict.fromkeys(self._targets(body))))
        once, each = split(body)
        for part, size in ((once, 1), (each, work.slot.size)):
            if not part.flats:
                continue
            with f.trials():
                self._draw(f, part)
                e = Elements(f, part)
                if not part.draws and all(r.index is None for r in part.refs.values()):
                    f.add("#pragma GCC ivdep")
                with f.block(f"for (long i = 0; i < {size}; i++)"):
                    f.add(*e.loads(), *e.drawn(), *e.steps(), *e.stores())

    def _targets(self, body: Body) -> Iterator[str]:
        """Keys of the variables that statements write."""
        yield from (body.refs[name].variable for name in body.final)

    def _draw(self, f: Function, body: Body) -> None:
        """Draw the random numbers of all elements of a trial."""
        for draw in body.draws:
            e = Elements(f, body)
            wanted = [a.id for a in draw.args if isinstance(a, ast.Name)]
            wanted += [draw.guard] if draw.guard else []
            stream = f.array(("streams",), "Stream")
            f.add("{", f"  Stream *random = {stream} + b;")
            with f.block(f"for (long i = 0; i < {body.slot.size}; i++)"):
                f.add(*e.loads(wanted))
                for other in body.draws[: body.draws.index(draw)]:
                    f.add(f"const real {local(other.name)} = {e.numbers(other)}[{e.drawn_at()}];")
                f.add(*e.steps(wanted))
                guard = f"{e.name(draw.guard)} ? " if draw.guard else ""
                other = " : 0" if draw.guard else ""
                f.add(
                    f"{e.numbers(draw)}[{e.drawn_at()}] = {guard}{draw_call(draw, e.write)}{other};"
                )
            f.add("}")

    # ---- events

    def _threshold(self, f: Function, work: Work, slot: Threshold) -> None:
        body, size = work.body, slot.size
        assert body is not None and work.condition is not None
        event = self.numbered[slot.event]
        if slot.event in self.plan.speeds and slot.event in self.plan.active:
            self._speeds(f, slot)
        if slot.event in self.plan.driven:
            if body.draws:
                with f.trials():
                    self._draw(f, body)
            self._given(f, slot.event, size)
        else:
            with f.trials():
                self._draw(f, body)
                e = Elements(f, body)
                f.add("unsigned char *restrict mask = S->mask;")
                if not body.draws and all(r.index is None for r in body.refs.values()):
                    f.add("#pragma GCC ivdep")
                with f.block(f"for (long i = 0; i < {size}; i++)"):
                    f.add(*e.loads(), *e.drawn(), *e.steps())
                    f.add(f"mask[i] = {condition_text(work.condition, e)};")
                self._collect(f, event, size)
        if slot.refractory:
            marks = ((f"{slot.owner}.not_refractory", "0"), (f"{slot.owner}.lastspike", "T"))
            with f.trials():
                self.listed(f, event, "t")
                with f.block("for (long m = 0; m < n; m++)"):
                    for key, value in marks:
                        place = f"b * {size} + list[m]"
                        self._keep_one(f, work.number, key, place)
                        f.add(f"{f.state(key)}[{place}] = {value};")

    def _speeds(self, f: Function, slot: Threshold) -> None:
        """Keep the distance to threshold, and the velocity, for the derivative of a spike."""
        body = self.plan.speeds[slot.event]
        margin = f.array(("margin", slot.event), "real")
        speed = f.array(("speed", slot.event), "real")
        below = f.array(("below", slot.event), "real")
        e = Elements(f, body, given={"_below": f"{below}[i]"})
        with f.block("if (tape)"), f.trials():
            if all(r.index is None for r in body.refs.values()):
                f.add("#pragma GCC ivdep")
            with f.block(f"for (long i = 0; i < {slot.size}; i++)"):
                f.add(*e.loads(), *e.steps(body.outcomes))
                at = f"(kept * B + b) * {slot.size} + i"
                f.add(f"{margin}[{at}] = {local('margin')};", f"{speed}[{at}] = {local('_speed')};")

    def _given(self, f: Function, event: str, size: int) -> None:
        """Events that an input gives."""
        given, rows = f.array(("input", event), "real"), f.array(("rows", event), "long")
        with f.trials():
            f.add("unsigned char *restrict mask = S->mask;")
            f.add(f"const real *restrict row = {given} + {given_row(rows)} * {size};")
            f.add(f"for (long i = 0; i < {size}; i++) mask[i] = row[i] != 0;")
            self._collect(f, self.numbered[event], size)

    def _collect(self, f: Function, event: int, size: int) -> None:
        """List the elements of a mask."""
        f.add(f"collect(S, {event}, t, b - S->first, mask, {size});")

    def listed(self, f: Function, event: int, step: str) -> None:
        """The elements with an event in a step of the run."""
        f.add(
            f"const long at = ({step} + 1) * (S->last - S->first) + b - S->first;",
            f"const long n = S->start[{event}][at + 1] - S->start[{event}][at];",
            f"const int *list = S->events[{event}].a + S->start[{event}][at];",
        )

    def _generate(self, f: Function, slot: Generate) -> None:
        event = self.numbered[slot.event]
        if slot.event in self.plan.driven:
            self._given(f, slot.event, slot.size)
            return
        start = f.array(("given_start", slot.owner), "long")
        index = f.array(("given_index", slot.owner), "int")
        with f.trials():
            f.add(f"listed(S, {event}, t, b - S->first, {index} + {start}[t],"
                  f" {start}[t + 1] - {start}[t]);")  # fmt: skip

    def answered(self, slot: Deliver | Reset) -> str:
        """Step of the events that a slot answers."""
        return f"(t - {slot.every} < -1 ? -1 : t - {slot.every})" if self.plan.later(slot) else "t"

    def _reset(self, f: Function, work: Work, slot: Reset) -> None:
        body = work.body
        assert body is not None
        with f.trials():
            self.listed(f, self.numbered[slot.event], self.answered(slot))
            self.draw_listed(f, body, "list")
            with f.block("for (long m = 0; m < n; m++)"):
                f.add("const long i = list[m];")
                for name in body.final:
                    self._keep_one(f, work.number, body.refs[name].variable,
                                   f.place(body.refs[name]))  # fmt: skip
                e = Elements(f, body)
                f.add(*e.loads(), *self.listed_draws(f, body, "m"), *e.steps(), *e.stores())

    def draw_listed(self, f: Function, body: Body, elements: str) -> None:
        """Draw the random numbers of the elements of a list of n."""
        for draw in body.draws:
            k = self.drawn.setdefault(f"{body.slot.name} {draw.name}", len(self.drawn))
            stream = f.array(("streams",), "Stream")
            e = Elements(f, body)
            wanted = [a.id for a in draw.args if isinstance(a, ast.Name)]
            wanted += [draw.guard] if draw.guard else []
            f.add(f"S->drawn[{k}].n = 0;", f"room_for_nums(S, &S->drawn[{k}], n);")
            with f.block(f"if (S->drawn[{k}].cap >= n) for (long m = 0; m < n; m++)"):
                f.add(f"Stream *random = {stream} + b;", f"const long i = {elements}[m];")
                f.add("(void)i;", *e.loads(wanted))
                for other in body.draws[: body.draws.index(draw)]:
                    f.add(*self.one_listed(body, other.name, "m"))
                f.add(*e.steps(wanted))
                guard = f"{e.name(draw.guard)} ? " if draw.guard else ""
                end = " : 0" if draw.guard else ""
                f.add(f"S->drawn[{k}].a[m] = {guard}{draw_call(draw, e.write)}{end};")

    def one_listed(self, body: Body, name: str, place: str) -> Iterator[str]:
        k = self.drawn[f"{body.slot.name} {name}"]
        yield f"const real {local(name)} = S->drawn[{k}].a[{place}];"

    def listed_draws(self, f: Function, body: Body, place: str) -> Iterator[str]:
        for draw in body.draws:
            yield from self.one_listed(body, draw.name, place)

    # ---- synapses

    def _deliver(self, f: Function, work: Work, slot: Deliver) -> None:
        body = work.body
        assert body is not None
        dense = [
            key for key in dict.fromkeys(self._targets(body))
            if not self.plan.sparse(work.number, key)
        ]  # fmt: skip
        self._keep_all(f, work.number, dense)
        matrix = self.plan.matrix(work)
        if matrix is not None:
            self._add_up(f, slot, matrix)
            return
        once, each = split(body)
        with f.trials():
            self.served(f, slot)
            if once.flats:
                f.add("if (n) {")
                self._serve(f, work, once, slot)
                f.add("}")
            if not slot.sequential:
                self.draw_listed(f, each, "served")
            with f.block("for (long m = 0; m < n; m++)"):
                f.add("const long i = served[m];")
                f.add(*(() if slot.sequential else self.listed_draws(f, each, "m")))
                self._serve(f, work, each, slot)

    def served(self, f: Function, slot: Deliver) -> None:
        """The synapses at which events arrive, in Brian2's order."""
        start = f.array(("start", slot.pathway), "long")
        synapse = f.array(("synapse", slot.pathway), "int")
        f.add("S->served.n = 0;")
        with self.arriving(f, slot):
            f.add(f"const long from = {start}[row], upto = {start}[row + 1];")
            f.add("room_for_ints(S, &S->served, upto - from); if (S->failed) return;")
            f.add(
                f"memcpy(S->served.a + S->served.n, {synapse} + from, sizeof(int) * (upto - from));"
            )
            f.add("S->served.n += upto - from;")
        f.add("const long n = S->served.n; const int *served = S->served.a;")

    @contextmanager
    def arriving(self, f: Function, slot: Deliver) -> Generator[None]:
        """A loop over the rows (delay, source) whose events arrive, in Brian2's order."""
        n_sources = self.plan.orders[slot.pathway].pathway.n_sources
        with self.delays(f, slot), f.block("for (long q = 0; q < n_arrive; q++)"):
            f.add(f"const long row = c * {n_sources} + arrive[q];")
            yield

    @contextmanager
    def delays(self, f: Function, slot: Deliver) -> Generator[None]:
        """A loop over the delays of a pathway, in which `arrive` lists the sources of events."""
        path, order = slot.pathway, self.plan.orders[slot.pathway]
        event = self.numbered[slot.event]
        past_start = f.array(("past_start", path), "long")
        past_index = f.array(("past_index", path), "int")
        delays = f.array(("delays", path), "long")
        first = f.array(("executed", str(slot.every)), "long")
        later = slot.every if self.plan.later(slot) else 0
        f.add(
            "const long trials = S->last - S->first;",
            f"const long done = {first}[t];",
            f"for (long c = 0; c < {len(order.delays)}; c++) {{",
            f"  const long lag = {delays}[c]; const int *arrive; long n_arrive;",
            "  if (lag <= done) {",
            f"    long step = t - lag * {slot.every} - {later}; if (step < -1) step = -1;",
            "    const long at = (step + 1) * trials + b - S->first;",
            f"    arrive = S->events[{event}].a + S->start[{event}][at];",
            f"    n_arrive = S->start[{event}][at + 1] - S->start[{event}][at];",
            "  } else {",
            "    const long at = (lag - done - 1) * B + b;",
            f"    arrive = {past_index} + {past_start}[at];",
            f"    n_arrive = {past_start}[at + 1] - {past_start}[at];",
            "  }",
        )
        f.depth += 1
        yield
        f.depth -= 1
        f.add("}")

    def _add_up(self, f: Function, slot: Deliver, matrix: Matrix) -> None:
        """Spikes that add one number each."""
        scalar = self.plan.kept[int(matrix.weight[2:-1])].scalar
        target, size = f.state(matrix.target), f.size(matrix.target)
        real = stored(self.program.variables[matrix.target])
        if matrix.dense is not None and not matrix.guard and not scalar and real == "real":
            self._add_dense(f, slot, target, size, matrix.dense)
            return
        with f.trials():
            f.add(f"{real} *to = {target} + b * {size};")
            gate = ""
            if matrix.guard:
                f.add(f"const unsigned char *open = {f.state(matrix.guard)} + b * {size};")
                gate = "if (open[j]) "
            with self.arriving(f, slot):
                if matrix.dense is not None and not scalar:
                    low, width = matrix.dense
                    table = f.array(("dense", str(self._number(slot))), "real")
                    f.add(f"const real *w = {table} + row * {width};")
                    f.add(
                        f"for (long j = {low}; j < {low + width}; j++) {gate}to[j] += w[j - {low}];"
                    )
                else:
                    start = f.array(("start", slot.pathway), "long")
                    column = f.array(("column", str(self._number(slot))), "int")
                    weight = f.kept(matrix.weight) if scalar else ""
                    if not scalar:
                        weight = f"{f.array(('weights', str(self._number(slot))), 'real')}[k]"
                    with f.block(f"for (long k = {start}[row]; k < {start}[row + 1]; k++)"):
                        f.add(f"const long j = {column}[k];", f"{gate}to[j] += {weight};")

    def _add_dense(
        self, f: Function, slot: Deliver, target: str, size: int, dense: tuple[int, int]
    ) -> None:
        """Rows of a full matrix, each read once for all trials where the matrix is large."""
        low, width = dense
        order = self.plan.orders[slot.pathway]
        n_sources = order.pathway.n_sources
        table = f.array(("dense", str(self._number(slot))), "real")
        large = n_sources * width >= LARGE and self._sorted(slot.event)
        if large:
            k = self.later.setdefault(f"{self._number(slot)} forward", len(self.later))
            f.add(f"Later *wait = &S->later[{k}]; wait->n = 0;")
        with f.trials(), self.delays(f, slot):
            if large:
                f.add("wait_for(S, wait, arrive, n_arrive, b - S->first);")
            else:
                to = f"{target} + b * {size} + {low}"
                f.add(f"add_rows({to}, {table}, arrive, n_arrive, {width});")
        if large:
            f.add(f"add_all(S, wait, {target} + S->first * {size} + {low}, {size}, {table},"
                  f" {n_sources}, {width});")  # fmt: skip

    def _sorted(self, event: str) -> bool:
        """Whether events of a step are listed from the first element to the last."""
        made = (s for s in self.program.slots_of(Generate) if s.event == event)
        return next(made, None) is None or event in self.plan.driven

    def _number(self, slot: Deliver) -> int:
        return self.program.slots.index(slot)

    def _serve(self, f: Function, work: Work, body: Body, slot: Deliver) -> None:
        """Statements for the synapse `i`."""
        e = Elements(f, body)
        fresh: set[str] = set()
        if slot.sequential:
            stream = f.array(("streams",), "Stream")
            f.add(*((f"Stream *random = {stream} + b;",) if body.draws else ()))
        ready = {d.name: d for d in body.draws} if slot.sequential else {}
        for made in body.executed:
            for name in _inputs(made):
                if name in ready:
                    draw = ready.pop(name)
                    f.add(f"const real {local(name)} = {draw_call(draw, e.write)};")
                elif name in body.refs and name not in fresh:
                    fresh.add(name)
                    f.add(e.load(name))
            operation = made.operation
            if not isinstance(operation, Write):
                f.add(e.step(made))
                continue
            ref = operation.ref
            place, array = f.place(ref), f.state(ref.variable)
            guard = f"if ({e.name(operation.guard)}) " if operation.guard else ""
            if operation.guard and isinstance(operation, Keep):
                guard = ""
            if slot.sequential and not isinstance(operation, Keep):
                self._keep_one(f, work.number, ref.variable, place)
            match operation:
                case Accumulate():
                    f.add(f"{guard}{array}[{place}] += {e.fitted(made)};")
                case Scale(divide=divide):
                    sign = "/" if divide else "*"
                    f.add(f"{guard}{array}[{place}] {sign}= {e.fitted(made)};")
                case Overwrite():
                    f.add(f"{guard}{array}[{place}] = {e.fitted(made)};")
                case _:
                    self._keep_one(f, work.number, ref.variable, place)
                    f.add(e.step(made), f"{array}[{place}] = {local(made.name)};")
            if not isinstance(operation, Keep) and slot.sequential:
                wide = stored(self.program.variables[ref.variable]) == "double"
                kind = "double" if wide else "real"  # what changed is read under its new name
                f.add(f"const {kind} {local(operation.name)} = {array}[{place}];")

    def _sum(self, f: Function, work: Work, slot: Sum) -> None:
        body, (low, high) = work.body, slot.span
        assert body is not None
        key = slot.target.variable
        self._keep_all(f, work.number, [key])
        size = f.size(key)
        with f.trials():
            f.add(f"real *to = {f.state(key)} + b * {size};")
            f.add(f"for (long j = {low}; j < {high}; j++) to[j] = 0;")
            index = f.array(("index", str(slot.target.index)), "int")
            e = Elements(f, body)
            with f.block(f"for (long i = 0; i < {slot.size}; i++)"):
                f.add(*e.loads(), *e.steps())
                f.add(f"to[{index}[i]] += {local(body.outcomes[0])};")


def split(body: Body) -> tuple[Body, Body]:
    """Statements that change what all elements share, executed once, and the others."""
    once = [f for f in body.flats if f.operation.once]
    if not any(isinstance(f.operation, Write) for f in once):
        return replace(body, flats=(), draws=(), final={}, outcomes=()), body
    each = [f for f in body.flats if not (f.operation.once and isinstance(f.operation, Write))]
    written = {f.name.partition("@")[0]: f.name for f in once if isinstance(f.operation, Write)}
    final = {n: v for n, v in body.final.items() if written.get(n) != v}
    again = {made: name for name, made in written.items()}
    return (
        replace(body, flats=tuple(once), final=written, outcomes=()),
        replace(body, flats=tuple(each), final=final).renamed(lambda name: again.get(name, name)),
    )


def _inputs(made: Flat) -> list[str]:
    return sorted(uses(made))


def given_row(rows: str) -> str:
    """Row of an input in a step, for a trial or for all of them."""
    return f"(t * {rows}[0] + ({rows}[0] > 1 ? b : 0))"


def condition_text(node: Condition, e: Elements) -> str:
    """A condition as a truth value in C."""
    return ConditionText(e.write, lambda tree: f"({e.write(tree)} != 0)", "(!{})")(node)


def value_title(plan: Plan, key: str) -> str:
    """Name of the function that computes a recorded value."""
    return f"value_{list(plan.values).index(key)}"
