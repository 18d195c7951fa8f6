"""The olivo-cerebellar circuit of the mouse, of any size: tables, wiring, and Brian2 objects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

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
from numpy.typing import NDArray

from mirrorneuron.bio._quantity import evaluate
from mirrorneuron.bio.cells import Cell, cells
from mirrorneuron.bio.cells.olivocerebellar_loop import climbing_fibre_eglif
from mirrorneuron.bio.synapses import synapses
from mirrorneuron.errors import DomainError, UnknownName
from mirrorneuron.units import Dimensions, si

from ._contracts import Wiring
from .anatomy import CONDITIONS, FOOTPRINT, PATHWAYS, POPULATIONS
from .stimuli import Trains
from .wiring import require_memory, wire

Array = NDArray[Any]
METRE, SECOND, HERTZ, SIEMENS = (
    Dimensions(m=1.0),
    Dimensions(s=1.0),
    Dimensions(s=-1.0),
    Dimensions(kg=-1.0, m=-2.0, s=3.0, A=2.0),
)
BACKGROUND = 4.0 * Hz
TEACHING = {"awake": 100e-9, "in vitro": 55e-9}  # of a stimulus to the olive [S]

Connect = Callable[[NeuronGroup, NeuronGroup, Cell, Wiring], Any]


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
    """

    size: tuple[float, float]
    seed: int
    condition: str
    dt: float
    leak_sign: int
    positions: Mapping[str, Array] = field(repr=False)
    wiring: Mapping[str, Wiring] = field(repr=False)

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
        olive: Trains | None = None,
        threshold: str = "",
        short_term: bool = False,
        complex_spike: Any = None,
        instead: Mapping[str, Connect | None] | None = None,
    ) -> Network:
        """Make the circuit's Brian2 objects, and set the time step of Brian2's default clock.

        Groups have the names of `circuit.counts`, Synapses those of `circuit.wiring`.

        Arguments:
            mossy: What the mossy fibres do: a rate, at which each draws its spikes by itself during
                the run [Hz], or given trains, the same on every backend.
            olive: Trains that excite cells of the olive, by the group `teaching`.
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
            instead: What makes the Synapses of a pathway in the place of ours, a plasticity rule
                for instance: a function of the two groups, the target's cell and the wiring, that
                returns one object or several. None leaves the pathway out.

        Returns:
            The network.

        Raises:
            UnknownName: There is no such pathway or condition of a spike.
            UnitError: The rate is none.
            DomainError: The rate is negative, or a train names a fibre that is not there.
        """
        replaced = dict(instead or {})
        for name in replaced:
            if name not in PATHWAYS:
                raise UnknownName.among(f"network(instead={{{name!r}: ...}})", name, PATHWAYS)
        defaultclock.dt = self.dt * second
        groups: dict[str, Any] = {"mossy": self._mossy(mossy)}
        kinds = {n: self.cell(n, threshold) for n in POPULATIONS if n != "mossy"}
        for name, cell in kinds.items():
            groups[name] = cell.group(self.counts[name], name=name, leak_sign=self.leak_sign)
        made = [*groups.values()]
        for name, wires in self.wiring.items():
            make = replaced.get(name, _connecting(name, short_term))
            if make is not None and len(wires):
                path = wires.pathway
                these = make(groups[path.source], groups[path.target], kinds[path.target], wires)
                made += list(these) if isinstance(these, list | tuple) else [these]
        if complex_spike is not None:
            made.append(self._complex_spike(complex_spike, groups))
        if olive is not None:
            made += self._teaching(olive, groups["olive"], kinds["olive"])
        return Network(made)

    def _mossy(self, given: Any) -> Any:
        number = self.counts["mossy"]
        if isinstance(given, Trains):
            _require_fibres("network(mossy=...)", given, number)
            return SpikeGeneratorGroup(number, given.i, given.t * second, name="mossy")
        rate = float(si(given, HERTZ, "network(mossy=...): the rate"))
        if not 0 <= rate * self.dt <= 1:
            raise DomainError(
                f"network(mossy={given}): a fibre fires between 0 and {1 / self.dt:g} times a"
                " second, at most once a step. Write mossy=4*Hz."
            )
        fibres = NeuronGroup(
            number, "rate : Hz (constant)", threshold="rand() < rate*dt", name="mossy"
        )
        fibres.rate = rate * Hz
        return fibres

    def _complex_spike(self, step: Any, groups: Mapping[str, Any]) -> Synapses:
        wires = self.wiring["climbing_purkinje"]
        return climbing_fibre_eglif.connect(
            groups["olive"], groups["purkinje"], "cf", i=wires.i, j=wires.j, w=step,
            delay=wires.pathway.delay * second, name="complex_spike",
        )  # fmt: skip

    def _teaching(self, trains: Trains, olive: Any, cell: Cell) -> list[Any]:
        _require_fibres("network(olive=...)", trains, len(olive))
        source = SpikeGeneratorGroup(len(olive), trains.i, trains.t * second, name="teaching")
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
            f" {self.seed}, leak sign {self.leak_sign:+d}, dt {self.dt * 1e3:g} ms",
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


def _connecting(name: str, short_term: bool) -> Connect:
    def connect(source: Any, target: Any, cell: Cell, wires: Wiring) -> Synapses:
        path, weight = wires.pathway, wires.weight * siemens
        settings = {"i": wires.i, "j": wires.j, "delay": path.delay * second, "name": name}
        if not (short_term and path.short_term):
            return cell.connect(source, target, path.input, w=weight, **settings)
        model = synapses["tsodyks_markram"].variant(path.short_term)
        constants = {key: evaluate(text) for key, text in model.constants.items()}
        return model.connect(
            source, target, cell.inputs[path.input], w=weight / constants["U"],
            **settings, **constants,
        )  # fmt: skip

    return connect


def _require_fibres(asked: str, trains: Trains, number: int) -> None:
    if len(trains.i) and not 0 <= trains.i.min() <= trains.i.max() < number:
        raise DomainError(
            f"{asked}: a train is for number {trains.i.max()}, and the group has {number}."
            f" Write numbers from 0 to {number - 1}."
        )


def cerebellum(
    scale: float | int = 1.0,
    *,
    volume: Any = None,
    seed: int = 0,
    condition: str = "awake",
    dt: Any = 0.1e-3 * second,
    leak_sign: int = 1,
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

    Returns:
        The circuit; `print` shows its numbers beside those of the reference.

    Raises:
        UnknownName: There is no such condition.
        UnitError: The volume is no pair of lengths, or dt no time.
        DomainError: A size, dt, the seed or the sign is out of range.
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
    whole = _whole(asked, seed)
    step = float(si(dt, SECOND, f"{asked}: dt"))
    if not 0 < step <= 1e-3:
        raise DomainError(
            f"{asked}: dt={dt}. The shortest delays are 2 ms, and conductances rise within 0.23 ms."
            " Write a step above 0 and of at most 1 ms, like dt=0.1*ms."
        )
    size = _size(asked, scale, volume)
    require_memory(asked, size)
    sites, wiring = wire(size, whole, condition)
    return Circuit(
        size=size,
        seed=whole,
        condition=condition,
        dt=step,
        leak_sign=leak_sign,
        positions=sites.positions,
        wiring=wiring,
    )


def _whole(asked: str, seed: Any) -> int:
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise DomainError(f"{asked}: seed={seed!r} is no whole number from 0. Write seed=0.")
    return int(seed)


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
