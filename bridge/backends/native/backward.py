"""Backward: the C code of a step in reverse.

Every slot first puts back what its statements replaced, so that the state is the one it started
from; then it passes the derivative of the loss by what it wrote on to what it read.
"""

from collections.abc import Iterator

from ...lower.adjoint import spike_value
from ...lower.condition import Chance, Condition, Margin
from ...lower.derivative import derivative
from ...lower.expression import names, parse
from ...lower.step import Keep, Write
from ...program import Deliver, Generate, Reset, Sum, Threshold
from .._body import Body
from .._plan import Key, Matrix, Work
from .c_text import Writer, stored
from .forward import Forward, condition_text, split, value_title
from .function import Elements, Function, local
from .sink import Sink
from .turn import Turn

ROOM = 2**18  # numbers that wait, which a core's cache holds


class Backward:
    """Writes the functions that go back through a step.

    Arguments:
        forward: What wrote the step itself.
    """

    def __init__(self, forward: Forward) -> None:
        self.forward, self.plan = forward, forward.plan
        self.program, self.arrays = forward.program, forward.arrays
        self.turned: dict[str, int] = {}
        self.flushed: dict[int, tuple[Key, int, int]] = {}

    def functions(self) -> Iterator[Function]:
        """All functions, in no particular order."""
        yield self.inputs()
        yield self.recorded()
        for work in self.plan.works:
            yield self.slot(work)

    def title(self, work: Work) -> str:
        """Name of the function of a slot."""
        return f"back_{work.title}"

    def slot(self, work: Work) -> Function:
        """The function of a slot."""
        f = Function(self.plan, self.arrays, self.title(work), work.slot)
        if work.body is not None:
            self._undo(f, work)
        if not self.plan.passes(work) and not isinstance(work.slot, Threshold | Generate):
            return f
        match work.slot:
            case Threshold():
                self._threshold(f, work, work.slot)
            case Generate():
                self._imposed(f, work.slot.event, work.slot.size)
            case Reset():
                self._reset(f, work, work.slot)
            case Deliver():
                self._deliver(f, work, work.slot)
            case Sum():
                self._sum(f, work, work.slot)
            case _:
                self._update(f, work)
        return f

    # ---- putting back

    def _undo(self, f: Function, work: Work) -> None:
        slot, body = work.slot, work.body
        assert body is not None
        if isinstance(slot, Deliver) and slot.sequential and self.plan.passes(work):
            return  # synapse by synapse, with the derivatives
        keys = [k for n, k in self.plan.undone if n == work.number]
        for key in sorted(keys):
            if not self.plan.sparse(work.number, key):
                self._put_back(f, work.number, key)
        sparse = [key for key in keys if self.plan.sparse(work.number, key)]
        if not sparse:
            return
        match slot:
            case Reset():
                with f.trials(backward=True):
                    self.forward.listed(f, self.forward.numbered[slot.event],
                                         self.forward.answered(slot))  # fmt: skip
                    with f.block("for (long m = n - 1; m >= 0; m--)"):
                        f.add("const long i = list[m];")
                        for name in [*body.final][::-1]:
                            self._pop(f, work.number, body.refs[name].variable,
                                      f.place(body.refs[name]), sparse)  # fmt: skip
            case Threshold():
                with f.trials(backward=True):
                    self.forward.listed(f, self.forward.numbered[slot.event], "t")
                    with f.block("for (long m = n - 1; m >= 0; m--)"):
                        for name in ("lastspike", "not_refractory"):
                            self._pop(f, work.number, f"{slot.owner}.{name}",
                                      f"b * {slot.size} + list[m]", sparse)  # fmt: skip
            case Deliver():
                self._undo_synapses(f, work, slot, sparse)
            case _:
                raise TypeError(slot)

    def _undo_synapses(self, f: Function, work: Work, slot: Deliver, sparse: list[str]) -> None:
        """Synaptic variables, in the reverse order of service."""
        body = work.body
        assert body is not None
        once, each = split(body)
        with f.trials(backward=True):
            self.forward.served(f, slot)
            with f.block("for (long m = n - 1; m >= 0; m--)"):
                f.add("const long i = served[m];")
                self._pop_synapse(f, work, each, slot, sparse)
            kept = [m.operation for m in once.flats if isinstance(m.operation, Keep)]
            if kept:
                with f.block("if (n)"):
                    for made in kept[::-1]:
                        ref = made.ref
                        self._pop(f, work.number, ref.variable, f.place(ref), sparse)

    def _pop_synapse(
        self, f: Function, work: Work, body: Body, slot: Deliver, sparse: list[str]
    ) -> None:
        """Put back what the statements of synapse `i` replaced."""
        for made in body.flats[::-1]:
            operation = made.operation
            if isinstance(operation, Keep) or (slot.sequential and isinstance(operation, Write)):
                self._pop(f, work.number, operation.ref.variable, f.place(operation.ref), sparse)

    def _pop(self, f: Function, work: int, key: str, place: str, sparse: list[str]) -> None:
        if key in sparse:
            stack = self.forward.stack(work, key)
            f.add(f"{f.state(key)}[{place}] = back(&S->undo[{stack}]);")

    def _put_back(self, f: Function, work: int, key: str) -> None:
        ctype, size = stored(self.program.variables[key]), f.size(key)
        old = f.array(("before", str(work), key), ctype)
        f.add(
            f"memcpy({f.state(key)} + S->first * {size}, {old} + (kept * B + S->first) * {size},"
            f" sizeof({ctype}) * {size} * (S->last - S->first));"
        )

    # ---- inputs and records

    def inputs(self) -> Function:
        """Gives the gradient of what was put into variables to the inputs."""
        f = Function(self.plan, self.arrays, "back_set_inputs", None)
        driven = [key for key in self.plan.state if key in self.plan.driven]
        for key in driven:
            if (-1, key) in self.plan.undone:
                self._put_back(f, -1, key)
        for key in driven:
            if key not in self.plan.active:
                continue
            size, gain = f.size(key), f.array(("gain", key), "double")
            adjoint = f.adjoint(key)
            with f.trials(), f.block(f"for (long i = 0; i < {size}; i++)"):
                f.add(
                    f"const real d = {adjoint}[b * {size} + i], g = {gain}[0] < 0 ? 1 : {gain}[0];"
                )
                if self.plan.wanted is not None and key in self.plan.wanted.inputs:
                    given = f.array(("by_input", key), "real")
                    f.add(f"{given}[(t * B + b) * {size} + i] = g * d;")
                f.add(f"{adjoint}[b * {size} + i] = {gain}[0] < 0 ? 0 : (1 - g) * d;")
        for table in {t.name for t in self.program.tables.values()} & self.plan.driven:
            if table not in self.plan.active:
                continue
            width = f.array(("width", table), "long")
            row, given = f.array(("by_row", table), "real"), f.array(("by_input", table), "real")
            with f.trials(), f.block(f"for (long i = 0; i < {width}[0]; i++)"):
                f.add(f"{given}[(t * B + b) * {width}[0] + i] = {row}[b * {width}[0] + i];")
                f.add(f"{row}[b * {width}[0] + i] = 0;")
        return f

    def recorded(self) -> Function:
        """Takes the gradient of what was recorded."""
        f = Function(self.plan, self.arrays, "back_record", None)
        for key in self.plan.record:
            if key in self.plan.values or key not in self.plan.active:
                continue
            if key in self.plan.state:
                _, chosen, width = self.forward.trace(f, key)
                given, rows = self._given(f, key)
                each = f.block(f"for (long j = 0; j < {width}; j++)")
                with f.block(f"if ({rows}[0])"), f.trials(), each:
                    f.add(f"{f.adjoint(key)}[b * {f.size(key)} + {chosen}[j]] +="
                          f" {given}[(t * B + b) * {width} + j];")  # fmt: skip
        return f

    def _given(self, f: Function, key: str) -> tuple[str, str]:
        """Gradient of a trace, and whether there is one."""
        return f.array(("by_trace", key), "real"), f.array(("has_trace", key), "long")

    def value(self, key: str, body: Body) -> Function:
        """Goes back through a value that was recorded."""
        f = Function(self.plan, self.arrays, f"back_{value_title(self.plan, key)}", body.slot)
        _, chosen, width = self.forward.trace(f, key)
        given, rows = self._given(f, key)
        sink = Sink(f, body, self.plan.carrying(body))
        seed = f"{given}[(t * B + b) * {width} + j]"
        each = f.block(f"for (long j = 0; j < {width}; j++)")
        with f.block(f"if ({rows}[0])"), sink.sums(), f.trials(), each:
            f.add(f"const long i = {chosen}[j];")
            e = Elements(f, body)
            f.add(*e.loads(), *e.drawn(), *e.steps())
            sink.back(e, {body.outcomes[0]: seed})
            sink.store()
        return f

    # ---- slots

    def _update(self, f: Function, work: Work) -> None:
        body = work.body
        assert body is not None
        once, each = split(body)
        for part, size in ((each, work.slot.size), (once, 1)):
            if not part.flats:
                continue
            carrying = self.plan.carrying(part)
            sink = Sink(f, part, carrying)
            with sink.sums(), f.trials():
                f.add(*sink.pragma())
                with f.block(f"for (long i = 0; i < {size}; i++)"):
                    e = Elements(f, part)
                    f.add(*e.loads(), *e.drawn(), *e.steps())
                    seeds = {
                        final: sink.adjoint(name)
                        for name, final in part.final.items() if final in carrying
                    }  # fmt: skip
                    sink.back(e, seeds)
                    sink.store()

    def by_spikes(self, f: Function, event: str, step: str) -> str:
        """Row of the derivative by the spikes of a step, "batch element"."""
        array = f.array(("by_event", event), "real")
        depth, size = self.plan.depth(event), self.plan.events[event]
        return f"({array} + (({step}) + 1) % {depth} * B * {size})"

    def _imposed(self, f: Function, event: str, size: int) -> None:
        """Spikes that are given: their gradient goes to the input."""
        if event not in self.plan.active:
            return
        with f.trials():
            self._spike_gradient(f, event, size)
            wanted = self.plan.wanted
            if wanted is not None and event in wanted.inputs:
                given = f.array(("by_input", event), "real")
                f.add(f"memcpy({given} + (t * B + b) * {size}, ds, sizeof(real) * {size});")
            f.add(f"memset(ds, 0, sizeof(real) * {size});")

    def _spike_gradient(self, f: Function, event: str, size: int) -> None:
        """`ds`, the derivative by each spike of a trial in this step."""
        given = f.array(("by_spikes", event), "real")
        has = f.array(("has_spikes", event), "long")
        f.add(
            f"real *ds = {self.by_spikes(f, event, 't')} + b * {size};",
            f"if ({has}[0]) for (long i = 0; i < {size}; i++)"
            f" ds[i] += {given}[(t * B + b) * {size} + i];",
        )

    def _threshold(self, f: Function, work: Work, slot: Threshold) -> None:
        body, condition = work.body, work.condition
        assert body is not None and condition is not None
        if slot.event not in self.plan.active:
            return
        if slot.event in self.plan.driven:
            self._imposed(f, slot.event, slot.size)
            return
        whole, parts = spike_value(condition)
        carrying = self.plan.carrying(body)
        escape = self.plan.escapes.get(slot.event) if self.plan.follows(slot.event) else None
        used = body if escape is None else body.after(escape[0])
        sink = Sink(f, used, carrying)
        with sink.sums(), f.trials():
            self._spike_gradient(f, slot.event, slot.size)
            f.add(*sink.pragma())
            with f.block(f"for (long i = 0; i < {slot.size}; i++)"):
                e = Elements(f, used)
                wanted = used.ends | set(escape[1] if escape else ())
                f.add(*e.loads(wanted), *e.drawn(), *e.steps(wanted))
                for k, part in enumerate(parts):
                    f.add(f"const real p{k} = {self._one_or_zero(part, e)};")
                seeds: dict[str, str] = {}
                for k, part in enumerate(parts):
                    if not isinstance(part, Margin | Chance):
                        continue
                    tree = part.tree if isinstance(part, Margin) else part.probability
                    name = next(iter(names(tree)), "")
                    if name not in carrying:
                        continue
                    factor = Writer(lambda n: f"p{n[1:]}")(derivative(whole, f"_{k}"))
                    if isinstance(part, Margin):
                        rate = self._slope(f, slot.event, e.name(name), e)
                    else:
                        x = e.name(name)
                        sign = "" if part.below else "-"
                        rate = f"{sign}({x} > 0 && {x} < 1 ? (real)1 : (real)0)"
                        if escape is not None:
                            size = " * ".join(e.name(n) for n in escape[1])
                            rate += f" / (fabs({size}) > 1 ? fabs({size}) : (real)1)"
                    seeds[name] = f"ds[i] * ({factor}) * ({rate})"
                sink.back(e, seeds, body)
                sink.store()
            f.add(f"memset(ds, 0, sizeof(real) * {slot.size});")

    def _one_or_zero(self, part: Condition, e: Elements) -> str:
        """A part of a condition as a number."""
        return f"{condition_text(part, e)} ? (real)1 : (real)0"

    def _slope(self, f: Function, event: str, margin: str, e: Elements) -> str:
        """Derivative of a spike by its margin."""
        gradient = self.plan.gradients[event]
        if event in self.plan.speeds:
            slopes = f.array(("slopes", event), "real")
            return f"{slopes}[(kept * B + b) * {self.plan.events[event]} + i]"
        width = f.array(("slope_width", event), "real")
        gain = f.array(("slope_gain", event), "real")
        each = f.array(("slope_each", event), "long")
        known = {"m": margin, "w": f"width_{margin}"}
        f.add(f"const real {known['w']} = {width}[{each}[0] ? i : 0];")
        tree = parse(gradient.surrogate.formula)
        shape = Writer(lambda n: known[n])(tree)
        return f"{gain}[{each}[1] ? i : 0] * {shape} / {known['w']}"

    def _reset(self, f: Function, work: Work, slot: Reset) -> None:
        body = work.body
        assert body is not None
        follows = self.plan.follows(slot.event)
        body, start = self.plan.at_threshold(work) if follows else (body, {})
        carrying = self.plan.carrying(body, arrives=follows)
        if follows:
            carrying |= {f.name for f in body.flats if f.name in body.final.values()}
        written = {
            name: final for name, final in body.final.items()
            if self.program.variables[body.refs[name].variable].kind == "float"
            and body.refs[name].variable in self.plan.active
        }  # fmt: skip
        step, event = self.forward.answered(slot), self.forward.numbered[slot.event]
        wanted = body.ends | {start.get(name, name) for name in written}
        if follows and written and slot.event in self.plan.active:
            with f.trials():
                f.add(f"real *ds = {self.by_spikes(f, slot.event, step)} + b * {slot.size};")
                f.add("#pragma GCC ivdep")
                with f.block(f"for (long i = 0; i < {slot.size}; i++)"):
                    e = Elements(f, body)
                    f.add(*e.loads(wanted), *e.steps(wanted))
                    for name, final in written.items():
                        place, key = f.place(body.refs[name]), body.refs[name].variable
                        jump = f"({local(final)} - {e.name(start.get(name, name))})"
                        jump += self._share(f, slot, key)
                        f.add(f"ds[i] += {f.adjoint(key)}[{place}] * {jump};")
        sink = Sink(f, body, carrying)
        with sink.sums(), f.trials():
            self.forward.listed(f, event, step)
            with f.block("for (long m = 0; m < n; m++)"):
                f.add("const long i = list[m];")
                e = Elements(f, body)
                f.add(*e.loads(wanted), *e.steps(wanted))
                seeds = {final: sink.adjoint(name) for name, final in written.items()}
                extra = {
                    start.get(name, name): f"-{sink.adjoint(name)}" for name in written
                } if follows else {}  # fmt: skip
                sink.back(e, seeds, extra=extra)
                sink.store(keep=set(written) if follows else set())

    def _share(self, f: Function, slot: Reset, key: str) -> str:
        """Factor by which the jump of the variable that crosses the threshold counts."""
        found, gradient = self.plan.crossing(slot.event), self.plan.gradients[slot.event]
        if gradient.reset is None or found is None or found.variable != key:
            return ""
        if slot.event in self.plan.driven:
            return ""
        if slot.event in self.plan.speeds:
            shares = f.array(("shares", slot.event), "real")
            return f" * {shares}[(kept * B + b) * {slot.size} + i]"
        return f" * {f.array(('share', slot.event), 'real')}[i]"

    # ---- synapses

    def _deliver(self, f: Function, work: Work, slot: Deliver) -> None:
        matrix = self.plan.matrix(work)
        if matrix is not None:
            self._through_matrix(f, slot, matrix)
        elif slot.sequential:
            self._in_turn(f, work, slot)
        else:
            self._through_synapses(f, work, slot)

    def _carries(self, slot: Deliver) -> bool:
        return slot.event in self.plan.active or slot.pathway in self.plan.active

    def _target_row(self, f: Function, slot: Deliver) -> None:
        """`ds`, the derivative by the spikes of a delay."""
        size = self.plan.orders[slot.pathway].pathway.n_sources
        later = slot.every if self.plan.later(slot) else 0
        f.add(f"long step = t - lag * {slot.every} - {later}; if (step < -1) step = -1;")
        if slot.event in self.plan.active:
            inside = f"{self.by_spikes(f, slot.event, 'step')} + b * {size}"
        else:
            inside = "NULL"
        if slot.pathway in self.plan.active:
            past = f.array(("by_past", slot.pathway), "real")
            outside = f"{past} + ((lag - done - 1) * B + b) * {size}"
        else:
            outside = "NULL"
        f.add(f"real *ds = lag <= done ? {inside} : {outside};")

    def _through_matrix(self, f: Function, slot: Deliver, matrix: Matrix) -> None:
        k = matrix.weight[2:-1]
        known = self.plan.kept[int(k)]
        place = str(self.program.slots.index(slot))
        adjoint, size = f.adjoint(matrix.target), f.size(matrix.target)
        order = self.plan.orders[slot.pathway]
        n_sources = order.pathway.n_sources
        start = f.array(("start", slot.pathway), "long")
        gate = (
            f"{f.state(matrix.guard)}[b * {size} + j] ? by[j] : (real)0"
            if matrix.guard
            else "by[j]"
        )
        if known.wanted and matrix.dense is not None and not known.scalar:
            self._rows_later(f, slot, matrix, gate)
        elif known.wanted:
            if known.scalar:
                f.add("double total = 0;")
            with f.trials():
                f.add(f"const real *by = {adjoint} + b * {size};")
                column = f.array(("column", place), "int")
                if not known.scalar:
                    weights = f.array(("by_weights", place), "real")
                    f.add(f"real *dw = {weights} + shard * {len(order.synapse)};")
                each = f.block(f"for (long k = {start}[row]; k < {start}[row + 1]; k++)")
                with self.forward.arriving(f, slot), each:
                    add = "total" if known.scalar else "dw[k]"
                    f.add(f"const long j = {column}[k];", f"{add} += {gate};")
            if known.scalar:
                by = f.array(("by_kept", k), "double")
                f.add(f"{by}[shard] += total;")
        if not self._carries(slot):
            return
        delays = f.array(("delays", slot.pathway), "long")
        first = f.array(("executed", str(slot.every)), "long")
        f.add(f"const long done = {first}[t]; (void)done;")
        with f.block(f"for (long c = 0; c < {len(order.delays)}; c++)"):
            f.add(f"const long lag = {delays}[c]; (void)lag;")
            if matrix.dense is not None and not known.scalar:
                self._dense_back(f, slot, matrix, place, n_sources)
            else:
                self._sparse_back(f, slot, matrix, place, n_sources, known.scalar)

    def _rows_later(self, f: Function, slot: Deliver, matrix: Matrix, gate: str) -> None:
        """Keep what spikes reach for some steps; then each row of the matrix is changed once."""
        low, width = matrix.dense or (0, 0)
        adjoint, size = f.adjoint(matrix.target), f.size(matrix.target)
        place = str(self.program.slots.index(slot))
        n_sources = self.plan.orders[slot.pathway].pathway.n_sources
        number_ = self.forward.later.setdefault(f"{place} backward", len(self.forward.later))
        weights = f.array(("by_dense", place), "real")
        steps = max(1, min(32, ROOM // (32 * width)))
        f.add(
            f"Later *wait = &S->later[{number_}]; const long each = S->last - S->first;",
            f"if (!wait->rows) wait->rows = malloc(sizeof(real) * {steps * width} * each);",
            "if (!wait->rows) { S->failed = 1; return; }",
        )
        with f.trials():
            f.add(f"const real *by = {adjoint} + b * {size};",
                  "const long mine = wait->step * each + b - S->first;",
                  f"real *restrict row = wait->rows + mine * {width};",
                  f"for (long j = {low}; j < {low + width}; j++)",
                  f"  row[j - {low}] = {gate};")  # fmt: skip
            with self.forward.delays(f, slot):
                f.add("wait_for(S, wait, arrive, n_arrive, mine);")
        add = f"add_later(S, wait, {weights} + shard * {n_sources * width}, {n_sources}, {width});"
        f.add(f"if (++wait->step == {steps}) {add}")
        self.flushed[number_] = (("by_dense", place), n_sources, width)

    def finish(self) -> Function:
        """Adds what still waits when the last step was gone through."""
        f = Function(self.plan, self.arrays, "finish_back", None)
        for number_, (key, n_sources, width) in self.flushed.items():
            weights = f.array(key, "real")
            f.add(f"add_later(S, &S->later[{number_}], {weights} + shard * {n_sources * width},"
                  f" {n_sources}, {width});")  # fmt: skip
        return f

    def _dense_back(
        self, f: Function, slot: Deliver, matrix: Matrix, place: str, n_sources: int
    ) -> None:
        low, width = matrix.dense or (0, 0)
        adjoint, size = f.adjoint(matrix.target), f.size(matrix.target)
        table = f.array(("dense_turned", place), "real")
        product = f.array(("product",), "void")
        f.add("long b = S->first;")
        self._target_row(f, slot)
        by, ld = f"{adjoint} + b * {size} + {low}", str(size)
        if matrix.guard:
            f.add(f"real *gated = S->turned; const unsigned char *open = {f.state(matrix.guard)};")
            self.turned["gated"] = max(self.turned.get("gated", 0), width)
            f.add("for (long q = 0; q < S->last - S->first; q++)",
                  f"for (long j = 0; j < {width}; j++)"
                  f" gated[q * {width} + j] = open[(b + q) * {size} + {low} + j] ?"
                  f" {adjoint}[(b + q) * {size} + {low} + j] : (real)0;")  # fmt: skip
            by, ld = "gated", str(width)
        f.add(
            f"if (ds) multiply({product}, {n_sources}, S->last - S->first, {width},"
            f" {table}, {by}, {ld}, ds, {n_sources});"
        )

    def _sparse_back(
        self,
        f: Function,
        slot: Deliver,
        matrix: Matrix,
        place: str,
        n_sources: int,
        scalar: bool,
    ) -> None:
        adjoint, size = f.adjoint(matrix.target), f.size(matrix.target)
        start = f.array(("start", slot.pathway), "long")
        column = f.array(("column", place), "int")
        one = f.kept(matrix.weight) if scalar else ""
        weight = one if scalar else f"{f.array(('weights', place), 'real')}[k]"
        self.turned["sparse"] = max(self.turned.get("sparse", 0), size)
        gate = f"{f.state(matrix.guard)}[b * {size} + j]" if matrix.guard else "1"
        f.add("const long trials = S->last - S->first; real *turned = S->turned, *sums = S->sums;")
        with f.block("if (trials >= 4)"):
            with f.trials():
                f.add(f"for (long j = 0; j < {size}; j++) turned[j * trials + b - S->first] ="
                      f" {gate} ? {adjoint}[b * {size} + j] : (real)0;")  # fmt: skip
            with f.block(f"for (long s = 0; s < {n_sources}; s++)"):
                f.add(f"const long row = c * {n_sources} + s;",
                      f"if ({start}[row] == {start}[row + 1]) continue;")  # fmt: skip
                f.add("for (long q = 0; q < trials; q++) sums[q] = 0;")
                with f.block(f"for (long k = {start}[row]; k < {start}[row + 1]; k++)"):
                    f.add(
                        f"const real w = {weight}; const real *by = turned + {column}[k] * trials;"
                    )
                    f.add("#pragma GCC ivdep")
                    f.add("for (long q = 0; q < trials; q++) sums[q] += w * by[q];")
                with f.trials():
                    self._target_row(f, slot)
                    f.add("if (ds) ds[s] += sums[b - S->first];")
        with f.block("else"), f.trials():
            self._target_row(f, slot)
            f.add("if (!ds) continue;")
            with f.block(f"for (long s = 0; s < {n_sources}; s++)"):
                f.add(f"const long row = c * {n_sources} + s; real sum = 0;")
                with f.block(f"for (long k = {start}[row]; k < {start}[row + 1]; k++)"):
                    f.add(f"const long j = {column}[k];")
                    f.add(f"sum += {weight} * ({gate} ? {adjoint}[b * {size} + j] : (real)0);")
                f.add("ds[s] += sum;")

    def _through_synapses(self, f: Function, work: Work, slot: Deliver) -> None:
        body = work.body
        assert body is not None
        _, each = split(body)
        carries = self._carries(slot)
        carrying = self.plan.carrying(each, arrives=carries)
        order = self.plan.orders[slot.pathway]
        n_sources = order.pathway.n_sources
        sink = Sink(f, each, carrying)
        if not carries:
            with sink.sums(), f.trials():
                self.forward.served(f, slot)
                with f.block("for (long m = 0; m < n; m++)"):
                    f.add("const long i = served[m];")
                    self._one_synapse(f, each, carrying, sink, "1", False)
            return
        start = f.array(("start", slot.pathway), "long")
        synapse = f.array(("synapse", slot.pathway), "int")
        with sink.sums(), f.trials():
            f.add("unsigned char *restrict mask = S->mask;")
            with self.forward.delays(f, slot):
                f.add(f"memset(mask, 0, {n_sources});",
                      "for (long q = 0; q < n_arrive; q++) mask[arrive[q]] = 1;")  # fmt: skip
                self._target_row(f, slot)
                with f.block(f"for (long s = 0; s < {n_sources}; s++)"):
                    f.add(f"const long row = c * {n_sources} + s; real total = 0;",
                          "const int here = mask[s];")  # fmt: skip
                    with f.block(f"for (long k = {start}[row]; k < {start}[row + 1]; k++)"):
                        f.add(f"const long i = {synapse}[k];")
                        self._one_synapse(f, each, carrying, sink, "here", True)
                    f.add("if (ds) ds[s] += total;")

    def _in_turn(self, f: Function, work: Work, slot: Deliver) -> None:
        """Synapses that are served one after the other, from the last to the first.

        Then the spikes that did not come: each synapse as if it alone had received one.
        """
        body = work.body
        assert body is not None
        carries = self._carries(slot)
        n_sources = self.plan.orders[slot.pathway].pathway.n_sources
        sink = Sink(f, body, self.plan.carrying(body, arrives=carries))
        replaced = [key for number, key in self.plan.undone if number == work.number]
        turn = Turn(sink, body.timeless(self.program))
        with sink.sums(), f.trials(backward=True):
            with f.block(""):
                self.forward.served(f, slot)
                with f.block("for (long m = n - 1; m >= 0; m--)"):
                    f.add("const long i = served[m]; real total = 0;")
                    self._pop_synapse(f, work, body, slot, replaced)
                    turn.back(Elements(f, body))
                    if carries:
                        row = f.array(("row_of", slot.pathway), "int")
                        delays = f.array(("delays", slot.pathway), "long")
                        f.add(f"const long lag = {delays}[{row}[i] / {n_sources}];")
                        self._target_row(f, slot)
                        f.add(f"if (ds) ds[{row}[i] % {n_sources}] += total;")
            if carries:
                self._absent(f, slot, turn, body)

    def _absent(self, f: Function, slot: Deliver, turn: Turn, body: Body) -> None:
        """What spikes that did not come would have changed."""
        n_sources = self.plan.orders[slot.pathway].pathway.n_sources
        start = f.array(("start", slot.pathway), "long")
        synapse = f.array(("synapse", slot.pathway), "int")
        f.add("unsigned char *restrict mask = S->mask;")
        with self.forward.delays(f, slot):
            f.add(f"memset(mask, 0, {n_sources});",
                  "for (long q = 0; q < n_arrive; q++) mask[arrive[q]] = 1;")  # fmt: skip
            self._target_row(f, slot)
            with f.block(f"if (ds) for (long s = 0; s < {n_sources}; s++)"):
                f.add(f"const long row = c * {n_sources} + s; real total = 0;",
                      "if (mask[s]) continue;")  # fmt: skip
                with f.block(f"for (long k = {start}[row]; k < {start}[row + 1]; k++)"):
                    f.add(f"const long i = {synapse}[k];")
                    turn.absent(Elements(f, body))
                f.add("ds[s] += total;")

    def _one_synapse(
        self, f: Function, body: Body, carrying: set[str], sink: "Sink", here: str, all_: bool
    ) -> None:
        """Back through the statements of synapse `i`, at which a spike arrived if `here`."""
        e = Elements(f, body)
        f.add(*e.loads({made.name for made in body.flats}))
        for made in body.flats:
            added = isinstance(made.operation, Write) and not isinstance(made.operation, Keep)
            value = f"const real {local(made.name)} = {e.fitted(made)};" if added else e.step(made)
            f.add(value)
        kept = body.kept
        sink.back_through_synapse(
            e, {n: final for n, final in kept.items() if final in carrying},
            body.timeless(self.program), here if all_ else "",
        )  # fmt: skip
        sink.store(keep=set(body.final) - set(kept))

    def _sum(self, f: Function, work: Work, slot: Sum) -> None:
        body, (low, high) = work.body, slot.span
        assert body is not None
        key = slot.target.variable
        sink = Sink(f, body, self.plan.carrying(body))
        index = f.array(("index", str(slot.target.index)), "int")
        adjoint, size = f.adjoint(key), f.size(key)
        with sink.sums(), f.trials():
            with f.block(f"for (long i = 0; i < {slot.size}; i++)"):
                e = Elements(f, body)
                f.add(*e.loads(), *e.steps())
                sink.back(e, {body.outcomes[0]: f"{adjoint}[b * {size} + {index}[i]]"})
                sink.store()
            f.add(f"for (long j = {low}; j < {high}; j++) {adjoint}[b * {size} + j] = 0;")
