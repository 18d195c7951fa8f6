"""What a published cell is: a neuron model, its values, its receptors by input, what it claims.

`cells["geminiani"]["purkinje"]` is a `Cell`, `cells["geminiani"]["purkinje"].state("awake")` the
same cell in another published state; its `group(20)` is a plain Brian2 NeuronGroup.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from brian2 import NeuronGroup, Synapses
from brian2.units.fundamentalunits import Quantity

from mirrorneuron._arguments import checked
from mirrorneuron.errors import UnknownName

from ..neurons._contracts import NeuronModel
from ..synapses._contracts import SynapseModel


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a cell's source says that it does without synapses, so that it can be tested.

    Arguments:
        rate: Rate without current [Hz]; 0 of a cell that is silent, None where nothing is said.
        currents: Steps of current, as text, of the curve of frequency over current.
        slope: Slope of that curve through all steps but the first, of the first interval
            [Hz/A]; None where nothing is said.
        tolerance: By how much the slope may differ, as a fraction.
    """

    rate: float | None = None
    currents: tuple[str, ...] = ()
    slope: float | None = None
    tolerance: float = 0.15


@checked
@dataclass(frozen=True, kw_only=True)
class Cell:
    """A population of a published circuit, without its connections.

    Arguments:
        model: Its equations.
        values: Parameters, initial states and constant current that differ from the model's.
        receptors: By label.
        inputs: Label of the receptor by the input that arrives there; several inputs may share
            one.
        states: Values that differ in another published state or version of the cell, by name.
        claims: What the source claims, by state; "" is the cell as it is.
        dt: Time step of the source, as text.
    """

    model: NeuronModel
    values: Mapping[str, str]
    receptors: Mapping[str, SynapseModel] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    dt: str = "0.1*ms"

    def __post_init__(self) -> None:
        known = {*self.model.parameters, *self.model.initial, "I"}
        for name in (*self.values, *(n for values in self.states.values() for n in values)):
            if name not in known:
                raise UnknownName.among(f"Cell(values={{{name!r}: ...}})", name, known)
        for label in self.inputs.values():
            if label not in self.receptors:
                raise UnknownName.among(f"Cell(inputs={{...: {label!r}}})", label, self.receptors)

    def state(self, name: str) -> "Cell":
        """The same cell in another published state, which alone it then has.

        Raises:
            UnknownName: There is no such state.
        """
        if name not in self.states:
            raise UnknownName.among(f"state({name!r})", name, self.states)
        claims = {"": self.claims[name]} if name in self.claims else {}
        values = {**self.values, **self.states[name]}
        return replace(self, values=values, states={}, claims=claims)

    @property
    def parameters(self) -> dict[str, str]:
        """Every parameter, initial state and the constant current, as text."""
        model = self.model
        return {**model.parameters, "I": "0*amp", **model.initial, **self.values}

    def group(
        self,
        N: int,
        *,
        name: str | None = None,
        receptors: Iterable[str] | None = None,
        method: str | None = None,
        dt: Quantity | None = None,
        shared: bool = True,
        **values: Any,
    ) -> NeuronGroup:
        """Make N of these cells: a plain Brian2 `NeuronGroup`.

        Arguments:
            N: Number of cells.
            name: Of the group.
            receptors: Labels of the receptors to hold; by default all.
            method: Integrator; by default the first that can solve the equations.
            dt: Time step; by default that of Brian2's clock.
            shared: Whether to hold one value of each parameter for all cells.
            values: Values that differ from the published ones.

        Returns:
            The group, with its parameters and initial states set.

        Raises:
            UnknownName: A value or receptor is one that the cell does not have.
            UnitError: A value has another unit.
            ShapeError: An array has not one value a cell, or parameters are shared.
            DomainError: A value is out of range, or the integrator cannot solve the equations.

        Example:
            >>> from mirrorneuron.bio import cells
            >>> golgi = cells["geminiani"]["golgi"].group(3, name="golgi", receptors=["pf"])
            >>> golgi.tau_m, golgi.tau_pf
            (<golgi.tau_m: 44. * msecond>, <golgi.tau_pf: 0.5 * msecond>)
        """
        held = self._held(f"group({N})", receptors)
        own = replace(
            self.model,
            parameters={n: self.parameters[n] for n in self.model.parameters},
            initial={n: self.parameters[n] for n in self.model.initial},
            current=self.parameters["I"],
        )
        return own.group(
            N, name=name, receptors=held, method=method, dt=dt, shared=shared, **values
        )

    def connect(self, source: Any, target: Any, input: str, **settings: Any) -> Synapses:
        """Connect to a group of these cells: a plain Brian2 `Synapses` with one weight `w` each.

        Arguments:
            source: Group that spikes.
            target: Group of these cells, or a part of it.
            input: What the source is to the cell, "parallel_fibre" for instance.
            settings: As in `SynapseModel.connect`.

        Raises:
            UnknownName: The cell has no such input.
        """
        if input not in self.inputs:
            raise UnknownName.among(f"connect(..., {input!r})", input, self.inputs)
        label = self.inputs[input]
        return self.receptors[label].connect(source, target, label, **settings)

    def _held(self, asked: str, labels: Iterable[str] | None) -> dict[str, SynapseModel]:
        chosen = list(self.receptors if labels is None else labels)
        for label in chosen:
            if label not in self.receptors:
                raise UnknownName.among(f"{asked}: the receptor {label!r}", label, self.receptors)
        return {label: self.receptors[label] for label in chosen}


@checked
@dataclass(frozen=True, kw_only=True)
class Family(Mapping[str, Cell]):
    """Cells of one source, by name.

    Arguments:
        cells: By name.
        source: Papers with DOI, and in what the values differ from them: the docstring of the
            family's file.
    """

    cells: Mapping[str, Cell]
    source: str

    def __getitem__(self, name: str) -> Cell:
        if name not in self.cells:
            raise UnknownName.among(f"family[{name!r}]", name, self.cells)
        return self.cells[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    def every(self) -> dict[str, Cell]:
        """Every cell in every state: "purkinje", "purkinje awake"."""
        found = dict(self.cells)
        for name, cell in self.cells.items():
            found |= {f"{name} {state}": cell.state(state) for state in cell.states}
        return found
