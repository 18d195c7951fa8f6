"""Turn: back through the statements of one synapse, where synapses are served one after the other.

Each sees what the ones before it changed, of neurons as well. A spike moves a variable from what it
is to what the statement makes of it; one that did not come is taken as if it alone had come, to the
state in which the slot starts.
"""

from collections.abc import Set

from ...lower.flat import Flat
from ...lower.step import Accumulate, Keep, Scale, Write
from .c_text import C_TYPES, kind_of
from .function import Elements, local
from .sink import Sink, by_name


class Turn:
    """Writes the way back through a synapse `i`; `total` takes the derivative by its spike.

    Arguments:
        sink: Where derivatives go.
        timeless: Names of what a spike sets without a derivative of its own.
    """

    def __init__(self, sink: Sink, timeless: Set[str]) -> None:
        self.sink, self.f, self.body = sink, sink.f, sink.body
        self.plan, self.program = sink.plan, sink.program
        self.timeless = timeless
        self.moved = [
            made for made in self.body.flats
            if isinstance(made.operation, Write) and not isinstance(made.operation, Keep)
        ]  # fmt: skip

    def back(self, e: Elements) -> None:
        """Lines for a synapse that a spike reached, when the state is that before it."""
        sink, kept = self.sink, self.body.kept
        sink.begin(e)
        self._values(e, here=True)
        for name, final in kept.items():
            if final in sink.carrying and self._is_followed(name):
                by = f"by_{local(name)}"
                self.f.add(f"const real {by} = {sink.adjoint(name)};")
                if name not in self.timeless:
                    self.f.add(f"total += {by} * {sink.worth(name, final, '1')};")
                sink.add(final, by)
        for made in reversed(self.body.flats):
            if made in self.moved:
                self._back_through(e, made)
            elif made.name in sink.known:
                sink.through(made, by_name(made.name))
        sink.store(keep=set(self.body.final) - set(kept))

    def absent(self, e: Elements) -> None:
        """Lines for a synapse that no spike reached."""
        self.sink.begin(e)
        self._values(e, here=False)
        for name, final in self.body.kept.items():
            if self._is_followed(name) and name not in self.timeless:
                change = self.sink.worth(name, final, "0")
                self.f.add(f"total += {self.sink.adjoint(name)} * {change};")
        for made in self.moved:
            if self._is_active(made):
                adjoint = self._adjoint(made)
                self.f.add(f"total += {self._gated(e, made, adjoint)} * {self._change(e, made)};")

    def _is_followed(self, name: str) -> bool:
        """Whether a synaptic variable has a gradient."""
        ref = self.body.refs[name]
        known = self.program.variables[ref.variable].kind == "float"
        return known and ref.variable in self.plan.active

    def _is_active(self, made: Flat) -> bool:
        """The same of a variable of neurons that is written."""
        assert isinstance(made.operation, Write)
        key = made.operation.ref.variable
        return key in self.plan.active and self.program.variables[key].kind == "float"

    # ---- values

    def _values(self, e: Elements, here: bool) -> None:
        """What the statements give; a spike that is not here changes nothing of neurons."""
        wanted = {made.name for made in self.body.flats}
        wanted |= {made.before or "" for made in self.moved}
        self.f.add(*e.loads(wanted))
        for made in self.body.flats:
            if made not in self.moved:
                self.f.add(e.step(made))
                continue
            operation = made.operation
            assert isinstance(operation, Write)
            kind = C_TYPES[kind_of(self.program.variables[operation.ref.variable])]
            before = e.name(made.before or "")
            self.f.add(f"const real {self._value(made)} = {e.fitted(made)};")
            new = self._new(e, made) if here else before
            if here and operation.guard:
                new = f"({e.name(operation.guard)} ? {new} : {before})"
            self.f.add(f"const {kind} {local(made.name)} = {new};")

    def _value(self, made: Flat) -> str:
        """Name of what a statement adds, multiplies by or sets."""
        return f"value_{self.moved.index(made)}"

    def _new(self, e: Elements, made: Flat) -> str:
        """What a spike makes of the variable."""
        before, value = e.name(made.before or ""), self._value(made)
        match made.operation:
            case Accumulate():
                return f"({before} + {value})"
            case Scale(divide=divide):
                return f"({before} {'/' if divide else '*'} {value})"
            case _:
                return value

    def _change(self, e: Elements, made: Flat) -> str:
        """What a spike adds to the variable."""
        if isinstance(made.operation, Accumulate):
            return self._value(made)
        return f"({self._new(e, made)} - {e.name(made.before or '')})"

    # ---- derivatives

    def _adjoint(self, made: Flat) -> str:
        """Derivative by the element that a statement changes."""
        assert isinstance(made.operation, Write)
        ref = made.operation.ref
        return f"{self.f.adjoint(ref.variable)}[{self.f.place(ref)}]"

    def _gated(self, e: Elements, made: Flat, by: str) -> str:
        """A derivative, where the statement is executed."""
        assert isinstance(made.operation, Write)
        guard = made.operation.guard
        return f"({e.name(guard)} ? {by} : (real)0)" if guard else by

    def _back_through(self, e: Elements, made: Flat) -> None:
        """Pass on the derivative by what a statement made of a variable of neurons."""
        if not self._is_active(made):
            return
        adjoint, value = self._adjoint(made), self._value(made)
        by, before = f"by_{value}", e.name(made.before or "")
        if made.name in self.sink.known:
            self.f.add(f"{adjoint} += {by_name(made.name)};")
        self.f.add(f"const real {by} = {self._gated(e, made, adjoint)};")
        self.f.add(f"total += {by} * {self._change(e, made)};")
        match made.operation:
            case Accumulate():
                self.sink.pull(made, by)
            case Scale(divide=True):
                self.f.add(f"{adjoint} += {by} / {value} - {by};")
                self.sink.pull(made, f"(-{by} * {before} / ({value} * {value}))")
            case Scale():
                self.f.add(f"{adjoint} += {by} * {value} - {by};")
                self.sink.pull(made, f"({by} * {before})")
            case _:
                self.f.add(f"{adjoint} -= {by};")
                self.sink.pull(made, by)
