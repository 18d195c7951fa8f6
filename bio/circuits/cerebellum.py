"""The olivo-cerebellar circuit of the mouse, of any size: tables, wiring, and Brian2 objects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    defaultclock,
    second,
    siemens,
)
from brian2.core.spikesource import SpikeSource
from numpy.typing import NDArray

from mirrorneuron._arguments import AboveZero, Count, checked
from mirrorneuron.errors import DomainError, ShapeError, UnknownName
from mirrorneuron.units import si

from .._quantity import evaluate
from ..cells import Cell, cells
from ..cells.olivocerebellar_loop import climbing_fibre_eglif
from ..plasticity import PlasticityRule
from ..synapses import synapses
from ._contracts import Wiring
from .anatomy import CONDITIONS, FOOTPRINT, PATHWAYS, POPULATIONS
from .given import HERTZ, METRE, SECOND
from .learning import Lessons, Plastic, lessons
from .stimuli import Trains
from .wiring import require_memory, wire

Array = NDArray[Any]
BACKGROUND = 4.0 * Hz
TEACHING = {"awake": 100e-9, "in vitro": 55e-9}  # of a stimulus to the olive [S]

Connect = Callable[[NeuronGroup, NeuronGroup, Cell, Wiring], Any]


@checked
@dataclass(frozen=True, eq=False, kw_only=True)
class Circuit:
    """A circuit that is laid out: cells in space and their synapses, as arrays.

    It holds no Brian2 object; `network()` makes them anew each time, on the device that is active.

    Arguments:
        size: Footprint along and across the parallel fibres [m].
        seed: Of positions and wiring.
        condition: "awake" or "in vitro".
        dt: Time step [s].
        leak_sign: +1 of the published cells, -1 of a physiological membrane: see
            `neurons["eglif"]`.
        positions: Of the cells of each group, and of the glomeruli, "neuron 3" [m].
        wiring: Synapses of each pathway.
        zones: Number of microzones.
        zone: Microzone of each Purkinje, nuclear and olivary cell, by group, " neuron".
    """

    size: tuple[float, float]
    seed: int
    condition: str
    dt: AboveZero
    leak_sign: Literal[1, -1]
    positions: Mapping[str, Array] = field(repr=False)
    wiring: Mapping[str, Wiring] = field(repr=False)
    zones: Count = 1
    zone: Mapping[str, Array] = field(repr=False, default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Number of cells of each group."""
        return {name: len(self.positions[name]) for name in POPULATIONS}

    def cell(self, name: str, threshold: str = "") -> Cell:
        """The cell of a group, in the state of the condition.

        Raises:
            UnknownName: There is no such group of cells, or no such condition of a spike.
        """
        known = [key for key, population in POPULATIONS.items() if population.cell]
        if name not in known:
            raise UnknownName.among(f"circuit.cell({name!r})", name, known)
        population = POPULATIONS[name]
        found = cells["geminiani"][population.cell]
        if self.condition in population.states:
            found = found.state(population.states[self.condition])
        if threshold:
            found = replace(found, model=found.model.with_threshold(threshold))
        return found

    def network(
        self,
        *,
        mossy: Any = BACKGROUND,
        olive: Any = None,
        threshold: str = "",
        short_term: bool = False,
        complex_spike: Any = None,
        plastic: Mapping[str, Plastic | PlasticityRule] | None = None,
        instead: Mapping[str, Connect | None] | None = None,
    ) -> Network:
        """Make the circuit's Brian2 objects, and set the time step of Brian2's default clock.

        Groups have the names of `circuit.counts`, Synapses those of `circuit.wiring`.

        Arguments:
            mossy: What the mossy fibres do: a rate, at which each draws its spikes by itself during
                the run [Hz]; given trains, the same on every backend; or a group of your own of
                that many cells, with the name "mossy".
            olive: What excites the olive: trains, by the group `teaching`, or a group of your own
                of as many cells as the olive has, each of which excites its own.
            threshold: Condition of a spike of all cells, as in `NeuronModel.with_threshold`;
                by default the published one, which draws random numbers during the run.
            short_term: Whether the synapses of the cortex depress and facilitate, as
                `synapses["tsodyks_markram"]`, with the constants of Masoli et al. 2022,
                doi:10.3389/fncom.2022.1006989. Their first peak is the one that they have without.
                (The repository's weights are the same, but for three: parallel fibres to stellate
                cells, stellate to stellate and basket to basket cells.)
            complex_spike: What a climbing fibre's spike adds to the adaptation current of a
                Purkinje cell, by the Synapses `complex_spike`, so that it pauses: 0.22*nA in the
                AdEx cell of `cells["olivocerebellar_loop"]`. By default nothing, as published [A].
            plastic: Rule by which the weights of a pathway change, of `plasticity`, or a `Plastic`
                with parameters that differ. Where a rule has a teacher, spikes of the pathway that
                `circuits.anatomy` names for it teach: climbing fibres for the parallel fibres,
                Purkinje cells for the mossy fibres of nuclear cells.
            instead: What makes the Synapses of a pathway in the place of ours: a function of the
                two groups, the target's cell and the wiring, that returns one object or several.
                None leaves the pathway out.

        Returns:
            The network.

        Raises:
            UnknownName: There is no such pathway or condition of a spike.
            UnitError: The rate is none.
            DomainError: The rate is negative, a train names a fibre that is not there, a group of
                yours has another name, a pathway is both plastic and replaced, or a rule has no
                teacher.
            ShapeError: A group of yours has another number of cells.
        """
        self._require_spikes("mossy", mossy)
        self._require_spikes("olive", olive)
        replaced, learning = dict(instead or {}), dict(plastic or {})
        for asked, names in (("instead", replaced), ("plastic", learning)):
            for name in names:
                if name not in PATHWAYS:
                    raise UnknownName.among(f"network({asked}={{{name!r}: ...}})", name, PATHWAYS)
        if both := sorted({*replaced} & {*learning}):
            raise DomainError(
                f"network(plastic=..., instead=...): {', '.join(both)} is in both, and only one can"
                " make its Synapses. Leave it out of one of them."
            )
        plan = lessons(learning, self.wiring)
        defaultclock.dt = self.dt * second
        groups: dict[str, Any] = {"mossy": self._mossy(mossy)}
        kinds = {
            n: plan.taught(self.cell(n, threshold), n) for n in POPULATIONS if n != "mossy"
        }  # fmt: skip
        for name, cell in kinds.items():
            held = {k: v for lesson in plan.of(name) for k, v in lesson.held.items()}
            groups[name] = cell.group(
                self.counts[name], name=name, leak_sign=self.leak_sign, **held
            )  # fmt: skip
        made = [*groups.values()]
        for lesson in (lesson for name in kinds for lesson in plan.of(name)):
            made += lesson.teach(groups)
        for name, wires in self.wiring.items():
            make = replaced.get(name, _connecting(name, short_term, plan))
            if make is not None and len(wires):
                path = wires.pathway
                these = make(groups[path.source], groups[path.target], kinds[path.target], wires)
                made += list(these) if isinstance(these, list | tuple) else [these]
        if complex_spike is not None:
            made.append(self._complex_spike(complex_spike, groups))
        if olive is not None:
            made += self._teaching(olive, groups["olive"], kinds["olive"])
        return Network(made)

    def _require_spikes(self, population: str, given: Any) -> None:
        """Refuse what is given as spikes before anything is made.

        Raises:
            DomainError: It is none of what can be given, or names cells that are not there.
            UnitError: It is a number, and no rate.
        """
        asked, teaches = f"network({population}=...)", population == "olive"
        if isinstance(given, SpikeSource):
            self._own(population, given, "" if teaches else population)
        elif isinstance(given, Trains):
            _require_fibres(asked, given, self.counts[population], self.dt)
        elif given is not None and teaches:
            raise DomainError(
                f"network({population}={given!r:.60}): this is neither trains nor a group that"
                f" spikes. Write {population}=mn.bio.Trains(i, t), with cells and times [s] in"
                f" arrays, or a NeuronGroup of circuit.counts[{population!r}] cells."
            )
        elif not teaches:
            self._rate(given)

    def _rate(self, given: Any) -> float:
        """The rate of mossy fibres [Hz]."""
        rate = float(si(given, HERTZ, "network(mossy=...): the rate"))
        if not 0 <= rate * self.dt <= 1:
            raise DomainError(
                f"network(mossy={given}): a fibre fires between 0 and {1 / self.dt:g} times a"
                " second, at most once a step. Write mossy=4*Hz."
            )
        return rate

    def _mossy(self, given: Any) -> Any:
        number = self.counts["mossy"]
        if isinstance(given, SpikeSource):
            return self._own("mossy", given, "mossy")
        if isinstance(given, Trains):
            return SpikeGeneratorGroup(number, given.i, given.t * second, name="mossy")
        fibres = NeuronGroup(
            number, "rate : Hz (constant)", threshold="rand() < rate*dt", name="mossy"
        )
        fibres.rate = self._rate(given) * Hz
        return fibres

    def _complex_spike(self, step: Any, groups: Mapping[str, Any]) -> Synapses:
        wires = self.wiring["climbing_purkinje"]
        return climbing_fibre_eglif.connect(
            groups["olive"], groups["purkinje"], "cf", i=wires.i, j=wires.j, w=step,
            delay=wires.pathway.delay * second, name="complex_spike",
        )  # fmt: skip

    def _own(self, what: str, given: Any, name: str = "") -> Any:
        """A group of the user's, of the right size and name."""
        asked, number = f"network({what}=...)", self.counts[what]
        if len(given) != number:
            raise ShapeError(
                f"{asked}: the group {given.name!r} has {len(given)} cells, and the circuit"
                f" {number} {what} cells. Write a group of circuit.counts[{what!r}]."
            )
        if name and given.name != name:
            raise DomainError(
                f"{asked}: the group is called {given.name!r}. Groups have the names of"
                f" circuit.counts, by which synapses and results name them. Write name={name!r}."
            )
        return given

    def _teaching(self, given: Any, olive: Any, cell: Cell) -> list[Any]:
        if isinstance(given, SpikeSource):
            source = self._own("olive", given)
        else:
            source = SpikeGeneratorGroup(len(olive), given.i, given.t * second, name="teaching")
        all_of_them = np.arange(len(olive))
        weight = TEACHING[self.condition] * siemens
        return [source, cell.connect(source, olive, "stimulus", i=all_of_them, j=all_of_them,
                                     w=weight, name="teaching_olive")]  # fmt: skip

    def __str__(self) -> str:
        sides = " x ".join(f"{side * 1e6:.0f}" for side in self.size)
        share = self.size[0] * self.size[1] / (FOOTPRINT[0] * FOOTPRINT[1])
        number, contacts = (
            sum(map(len, self.wiring.values())),
            sum(int(wires.contacts.sum()) for wires in self.wiring.values()),
        )
        lines = [
            f"Cerebellum, {self.condition}, {sides} µm ({share:.3g} of the reference), seed"
            f" {self.seed}, leak sign {self.leak_sign:+d}, dt {self.dt * 1e3:g} ms"
            + (f", {self.zones} zones" if self.zones > 1 else ""),
            "",
            f"{'cells':<12}{'number':>9}{'density x size':>16}",
            *(
                f"{name:<12}{number:>9,}{POPULATIONS[name].reference * share:>16,.1f}"
                for name, number in self.counts.items()
            ),
            "",
            f"{number:,} synapses of {contacts:,} contacts; sources of a target, and by how much"
            " weights were multiplied:",
            "",
            f"{'pathway':<20}{'synapses':>10}{'sources':>18}{'reference':>16}{'weight x':>10}",
            *(_line(name, wires) for name, wires in self.wiring.items()),
        ]
        return "\n".join(lines)


def _line(name: str, wires: Wiring) -> str:
    """One pathway of the summary; of mossy and Golgi cells, the glomeruli count."""
    mean, sd = wires.pathway.pairs
    degree = wires.convergence if name == "mossy_golgi" else wires.in_degree
    published = f"{mean:,.1f} ± {sd:,.1f}" if mean else "-"
    actual = f"{degree.mean():,.1f} ± {degree.std():,.1f}"
    return f"{name:<20}{len(wires):>10,}{actual:>18}{published:>16}{wires.factor:>10.3f}"


def _connecting(name: str, short_term: bool, plan: Lessons) -> Connect:
    def connect(source: Any, target: Any, cell: Cell, wires: Wiring) -> Synapses:
        path, to = wires.pathway, cell.inputs[wires.pathway.input]
        receptor, scale, constants = cell.receptors[to], 1.0, {}
        if short_term and path.short_term:
            receptor = synapses["tsodyks_markram"].variant(path.short_term)
            constants = {key: evaluate(text) for key, text in receptor.constants.items()}
            scale = 1 / float(constants["U"])
        if name in plan.plastic:
            return plan.connect(source, target, receptor, to, name=name, wires=wires, scale=scale)
        return receptor.connect(
            source, target, to, i=wires.i, j=wires.j, w=wires.weight * scale * siemens,
            delay=path.delay * second, name=name, **constants,
        )  # fmt: skip

    return connect


def _require_fibres(asked: str, trains: Trains, number: int, dt: float) -> None:
    """Refuse trains of fibres that are not there, and those that fire twice in a step.

    Raises:
        DomainError: There are such.
    """
    if len(trains.i) and not 0 <= trains.i.min() <= trains.i.max() < number:
        raise DomainError(
            f"{asked}: a train is for number {trains.i.max()}, and the group has {number}."
            f" Write numbers from 0 to {number - 1}."
        )
    step = np.round(trains.t / dt).astype(np.int64)
    spikes, times = np.unique(step * number + trains.i, return_counts=True)
    if (times > 1).any():
        twice = spikes[times > 1][0]
        raise DomainError(
            f"{asked}: number {twice % number} fires twice in the step at"
            f" {twice // number * dt * 1e3:g} ms, and a step of {dt * 1e3:g} ms holds one spike of"
            " a cell. Leave one of them out."
        )


@checked
def cerebellum(
    scale: float | int = 1.0,
    *,
    volume: Any = None,
    seed: int = 0,
    condition: str = "awake",
    dt: Any = 0.1e-3 * second,
    leak_sign: int = 1,
    zones: int = 1,
) -> Circuit:
    """Lay out an olivo-cerebellar circuit.

    Mossy fibres, granule, Golgi, basket, stellate and Purkinje cells, projecting and inhibitory
    nuclear cells and the olive, with the densities and pathways of `circuits.anatomy`. All is drawn
    here, with numpy, and no backend draws a connection. Weights are multiplied by the contacts of a
    target in the reference over those that it has here, for each pathway.

    Arguments:
        scale: Size as a multiple of the reference, 300 by 200 µm with 30,420 granule cells.
        volume: Footprint along and across the parallel fibres instead, two Quantities [m].
        seed: Of positions and wiring.
        condition: "awake" or "in vitro": other weights, and other Purkinje and nuclear cells.
        dt: Time step [s].
        leak_sign: +1 as published, or -1: see `neurons["eglif"]`. The published constants give the
            published rates with +1 alone.
        zones: Number of microzones. Purkinje, nuclear and olivary cells are divided into as many
            parts of equal size across the parallel fibres, one cell each at least, and connect
            within their part: Purkinje cells with nuclear cells, the olive with both, the nuclei
            with the olive.

    Returns:
        The circuit; `print` shows its numbers beside those of the reference.

    Raises:
        UnknownName: There is no such condition.
        UnitError: The volume is no pair of lengths, or dt no time.
        DomainError: A size, dt, the seed, the sign or the number of zones is out of range.
        BuildError: It does not fit into memory, which is estimated before anything is drawn.

    Example:
        >>> from mirrorneuron.bio.circuits import cerebellum
        >>> circuit = cerebellum(scale=0.005, seed=1)
        >>> circuit.counts["granule"], circuit.wiring["mossy_granule"].in_degree.max()
        (152, np.int64(4))
    """
    asked = f"cerebellum(scale={scale:g})" if volume is None else f"cerebellum(volume={volume})"
    if condition not in CONDITIONS:
        raise UnknownName.among(f"{asked}: condition={condition!r}", condition, CONDITIONS)
    if leak_sign not in (1, -1):
        raise DomainError(
            f"{asked}: leak_sign={leak_sign!r}. It is the sign of a term. Write 1, as published, or"
            " -1."
        )
    whole, parts = _whole(asked, "seed", seed, 0), _whole(asked, "zones", zones, 1)
    step = float(si(dt, SECOND, f"{asked}: dt"))
    if not 0 < step <= 1e-3:
        raise DomainError(
            f"{asked}: dt={dt}. The shortest delays are 2 ms, and conductances rise within 0.23 ms."
            " Write a step above 0 and of at most 1 ms, like dt=0.1*ms."
        )
    size = _size(asked, scale, volume)
    require_memory(asked, size)
    sites, wiring = wire(size, whole, condition, parts)
    return Circuit(
        size=size,
        seed=whole,
        condition=condition,
        dt=step,
        leak_sign=leak_sign,
        positions=sites.positions,
        wiring=wiring,
        zones=parts,
        zone=sites.zone,
    )


def _whole(asked: str, what: str, given: Any, least: int) -> int:
    if not isinstance(given, int | np.integer) or given < least:
        raise DomainError(
            f"{asked}: {what}={given!r} is no whole number from {least}. Write {what}={least}."
        )
    return int(given)


def _size(asked: str, scale: float | int, volume: Any) -> tuple[float, float]:
    if volume is None:
        if not (np.isfinite(scale) and scale > 0):
            raise DomainError(f"{asked}: scale is a positive number. Write scale=0.01.")
        side = float(np.sqrt(scale))
        return FOOTPRINT[0] * side, FOOTPRINT[1] * side
    if np.size(volume) != 2:
        raise DomainError(
            f"{asked}: a footprint has two sides, along and across the parallel fibres."
            " Write volume=(300, 200)*um."
        )
    x, y = (float(si(side, METRE, f"{asked}: a side")) for side in volume)
    if not (np.isfinite(x) and np.isfinite(y) and min(x, y) > 0):
        raise DomainError(f"{asked}: sides are positive lengths. Write volume=(300, 200)*um.")
    return x, y
