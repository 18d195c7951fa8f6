"""Contracts of the models: Brian2 equations with their source, all of it text.

A model is a table. `NeuronModel.group` and `SynapseModel.connect` make ordinary Brian2 objects
from it: `model.text()` shows the equations that they hold.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from brian2 import Equations, NeuronGroup, Synapses
from brian2.units.fundamentalunits import Quantity

from mirrorneuron.errors import DomainError, ShapeError, UnknownName

from ._quantity import Bound, Fault, evaluate, refuse, settle, unit_text

M = TypeVar("M", bound="Model")
ROUNDING = 1e-6  # published values that stand exactly on a border of stability are rounded


@dataclass(frozen=True, kw_only=True)
class Model:
    """What neurons and synapses share: equations, their parameters and where they come from.

    Arguments:
        equations: Differential equations and subexpressions, as in Brian2. The parameters are
            declared by their text, not here.
        parameters: Value of each parameter, as text with its unit.
        positive: Parameters that have to be above zero.
        methods: Integrators that can solve the equations, the recommended one first.
        variants: Other published values of some parameters, by name.
        source: Paper, equation numbers, DOI, and in what the model differs from it: the docstring
            of the model's file.
    """

    equations: str
    parameters: Mapping[str, str]
    positive: tuple[str, ...] = ()
    methods: tuple[str, ...]
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    source: str

    def variant(self: M, name: str) -> M:
        """The same model with the parameters of one of its variants.

        Raises:
            UnknownName: There is no such variant.
        """
        if name not in self.variants:
            raise UnknownName.among(f"variant({name!r})", name, self.variants)
        return replace(self, parameters={**self.parameters, **self.variants[name]})


@dataclass(frozen=True, kw_only=True)
class Receptor(Model):
    """A part of a cell through which others reach it.

    `{r}` in the texts stands for the label of the receptor, so that a cell can have several of a
    kind; parameters carry it too, `tau` of receptor `e` is `tau_e`.

    Arguments:
        current: Current into the cell, of the receptor's states and of `v`, in ampere.
    """

    current: str

    def text(self, receptor: str, *, shared: bool = False) -> str:
        """The equations that a cell with this receptor holds."""
        declared = _declared(self.labelled(receptor), shared)
        return f"{self.equations.strip().format(r=receptor)}\n{declared}"

    def labelled(self, receptor: str) -> dict[str, str]:
        """The parameters under the names that they have in a cell."""
        return {f"{name}_{receptor}": text for name, text in self.parameters.items()}

    def require(self, asked: str, target: Any, receptor: str) -> None:
        """Refuse a target that does not have this receptor.

        Raises:
            UnknownName: It has none of this label, or one of another kind.
        """
        held = getattr(getattr(target, "source", target), "equations", {})
        if not _holds(held, Equations(self.text(receptor))):
            raise UnknownName(
                f"{asked}: the target {target.name!r} has no receptor {receptor!r} of this kind."
                f" A receptor is part of the cell's equations. Write"
                f" group(..., receptors={{{receptor!r}: model}}) with the model that you connect."
            )


@dataclass(frozen=True, kw_only=True)
class SynapseModel(Receptor):
    """A receptor of the postsynaptic cell, and what a presynaptic spike does to it.

    Arguments:
        on_pre: What a spike does, with the weight `w`.
        weight: A weight that moves a cell at rest by about a millivolt, as text.
        states: Equations that each synapse holds besides its weight.
        start: Value of each of these states at the start, as text.
        constants: Value of each constant of the synapses, as text with its unit.
    """

    on_pre: str
    weight: str
    states: str = ""
    start: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)

    def variant(self, name: str) -> "SynapseModel":
        """The same model with the parameters and constants of one of its variants.

        Raises:
            UnknownName: There is no such variant.
        """
        if name not in self.variants:
            raise UnknownName.among(f"variant({name!r})", name, self.variants)
        values = self.variants[name]
        return replace(
            self,
            parameters={k: values.get(k, text) for k, text in self.parameters.items()},
            constants={k: values.get(k, text) for k, text in self.constants.items()},
        )

    def connect(
        self,
        source: Any,
        target: Any,
        receptor: str,
        *,
        i: Any = None,
        j: Any = None,
        condition: str | None = None,
        p: Any = 1.0,
        w: Any = None,
        delay: Any = None,
        name: str | None = None,
        **values: Any,
    ) -> Synapses:
        """Connect two groups: a plain Brian2 `Synapses` with one weight `w` each.

        Arguments:
            source: Group that spikes.
            target: Group that has the receptor.
            receptor: Its label there.
            i: Indices of the presynaptic neurons, with `j`.
            j: Indices of the postsynaptic neurons.
            condition: Which pairs to connect, as in `Synapses.connect`; by default all.
            p: With which probability.
            w: Weight, one for all or one a synapse, in the order of creation.
            delay: One for all (a homogeneous delay in Brian2) or one a synapse.
            name: Of the Synapses.
            values: Constants of the synapses, one for all or one a synapse.

        Returns:
            The synapses, connected.

        Raises:
            UnknownName: The target has no such receptor, or the model no such constant.
            UnitError: A weight or delay has another unit.
            ShapeError: There are more or fewer weights or delays than synapses.
            DomainError: A weight is not finite, or a delay is negative.
        """
        asked = f"connect({source.name!r}, {target.name!r}, {receptor!r})"
        self.require(asked, target, receptor)
        given = {k: v for k, v in {"w": w, "delay": delay}.items() if v is not None} | values
        defaults = {"w": self.weight, "delay": "0*ms", **self.constants}
        bounds = _bounds((n for n in self.constants if n in self.positive), ("delay",))
        settle(asked, defaults, given, None, bounds)
        one_for_all = delay if np.ndim(delay) == 0 else None
        synapses = Synapses(
            source,
            target,
            model=self.synaptic(values),
            on_pre=self.on_pre.format(r=receptor),
            delay=one_for_all,
            name=name or "synapses*",
        )
        synapses.connect(i=i, j=j, condition=condition, p=p)
        settled = settle(asked, defaults, given, len(synapses), bounds)
        for variable in ("w", *self.constants):
            setattr(synapses, variable, settled[variable])
        for state, text in self.start.items():
            setattr(synapses, state, evaluate(text, settled))
        if np.ndim(delay) > 0:
            synapses.delay = settled["delay"]
        return synapses

    def synaptic(self, values: Mapping[str, Any] | None = None) -> str:
        """The equations that each synapse holds; constants of which one is given are shared."""
        given = values or {}
        lines = [f"w : {unit_text(evaluate(self.weight))}", self.states.strip()]
        for name, text in self.constants.items():
            lines.append(_declared({name: text}, shared=np.ndim(given.get(name, 0)) == 0))
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True, kw_only=True)
class JunctionModel(Receptor):
    """An electrical synapse: a current between two cells at every step.

    Arguments:
        flow: Current into the postsynaptic cell, with `g`, `v_pre` and `v_post`.
        sum: State of the cell that holds the sum of the flows.
        conductance: A conductance that couples two cells by some per cent, as text.
    """

    flow: str
    sum: str
    conductance: str

    def couple(
        self, cells: Any, receptor: str, i: Any, j: Any, *, g: Any = None, name: str | None = None
    ) -> Synapses:
        """Couple pairs of cells of one group, each pair in both directions.

        Arguments:
            cells: Group that has the receptor.
            receptor: Its label there.
            i: One cell of each pair.
            j: The other cell of each pair.
            g: Conductance, one for all or one a pair.
            name: Of the Synapses.

        Returns:
            Plain Brian2 `Synapses`, two for each pair: first (i, j) for all pairs, then (j, i).

        Raises:
            UnknownName: The cells have no such receptor.
            ShapeError: `i` and `j` differ in length, or there is not one conductance a pair.
            DomainError: A cell is paired with itself, or a conductance is negative.
            UnitError: A conductance has another unit.
        """
        asked = f"couple({cells.name!r}, {receptor!r}, i, j)"
        self.require(asked, cells, receptor)
        one, other = pairs(asked, i, j)
        given = {} if g is None else {"g": g}
        bounds = _bounds(nonnegative=("g",))
        settled = settle(asked, {"g": self.conductance}, given, len(one), bounds)["g"]
        total, unit = self.sum.format(r=receptor), unit_text(evaluate(self.conductance))
        junctions = Synapses(
            cells,
            cells,
            f"g : {unit} (constant)\n{total}_post = {self.flow} : amp (summed)",
            name=name or "junctions*",
        )
        junctions.connect(i=np.concatenate([one, other]), j=np.concatenate([other, one]))
        junctions.g = settled if np.ndim(settled) == 0 else np.tile(settled, 2)
        return junctions


def pairs(asked: str, i: Any, j: Any) -> tuple[Any, Any]:
    """Two lists of cells that are paired, checked.

    Raises:
        ShapeError: They differ in length.
        DomainError: A cell is paired with itself.
    """
    one, other = np.atleast_1d(np.asarray(i)), np.atleast_1d(np.asarray(j))
    if one.shape != other.shape or one.ndim != 1:
        raise ShapeError(
            f"{asked}: i has shape {one.shape} and j {other.shape}. A pair is one of each."
            " Write two lists of the same length."
        )
    if np.any(one == other):
        raise DomainError(
            f"{asked}: cell {one[one == other][0]} is paired with itself, where no current can"
            " flow. Leave such pairs out, i != j."
        )
    return one, other


@dataclass(frozen=True, kw_only=True)
class NeuronModel(Model):
    """A neuron: equations, threshold and reset.

    The equations may use `I`, the current that is given from outside, and `I_syn`, the sum of
    the currents of the receptors.

    Arguments:
        threshold: Condition of a spike.
        reset: What a spike does.
        refractory: Parameter that holds the refractory time; empty if there is none.
        hold: How long Brian2 takes a neuron for refractory, where that is not the parameter itself:
            an expression of it and of `dt`.
        before: Statements at the start of each step, before the equations are integrated.
        thresholds: Other conditions of a spike, by name.
        stable: Pairs of expressions of the parameters. Where the first is below the second, the
            equations grow without bound, and `group` warns.
        step: Longest time step that the equations bear with the integrators listed, as text.
        spontaneous: Lowest and highest number of spikes in the first 10 000 steps without a drive.
        initial: Value of each state at the start, as text that may use the parameters.
        current: The constant current `I` without any, as text.
        drive: A constant current `I` under which the cell fires, as text.
        rate: Lowest and highest number of spikes in the first 10 000 steps under that drive; for
            steps of 0.1 ms that is a rate [Hz].
    """

    threshold: str
    reset: str
    refractory: str = ""
    hold: str = ""
    before: str = ""
    thresholds: Mapping[str, str] = field(default_factory=dict)
    stable: tuple[tuple[str, str], ...] = ()
    step: str = "0.1*ms"
    spontaneous: tuple[float, float] = (0.0, 0.0)
    initial: Mapping[str, str]
    current: str = "0*amp"
    drive: str
    rate: tuple[float, float]

    def with_threshold(self, name: str) -> "NeuronModel":
        """The same model with another condition of a spike.

        Raises:
            UnknownName: There is no such condition.
        """
        if name not in self.thresholds:
            raise UnknownName.among(f"with_threshold({name!r})", name, self.thresholds)
        return replace(self, threshold=self.thresholds[name])

    def text(self, receptors: Mapping[str, Receptor] | None = None, *, shared: bool = False) -> str:
        """The equations that a group with these receptors holds."""
        held = dict(receptors or {})
        currents = [model.current.format(r=label) for label, model in held.items()]
        lines = [self.equations.strip(), "I : amp", _declared(self.parameters, shared)]
        lines += [f"I_syn = {' + '.join(currents) or '0*amp'} : amp"]
        return "\n".join(
            lines + [model.text(label, shared=shared) for label, model in held.items()]
        )

    def methods_with(self, receptors: Mapping[str, Receptor] | None = None) -> tuple[str, ...]:
        """Integrators that can solve the equations with these receptors, the best first."""
        models = (receptors or {}).values()
        return tuple(m for m in self.methods if all(m in model.methods for model in models))

    def group(
        self,
        N: int,
        *,
        name: str | None = None,
        receptors: Mapping[str, Receptor] | None = None,
        method: str | None = None,
        dt: Quantity | None = None,
        shared: bool = False,
        **values: Any,
    ) -> NeuronGroup:
        """Make N neurons: a plain Brian2 `NeuronGroup`, every parameter one value a neuron.

        Arguments:
            N: Number of neurons.
            name: Of the group.
            receptors: Models of its receptors by label.
            method: Integrator; by default the first of `methods_with(receptors)`.
            dt: Time step; by default that of Brian2's clock.
            shared: Whether to hold one value of each parameter for all neurons: less memory, and
                faster. The states and `I` keep one value a neuron.
            values: Parameters, initial states and the current `I`, one for all or one a neuron.

        Returns:
            The group, with its parameters and initial states set.

        Raises:
            UnknownName: A value is for something that the model does not have.
            UnitError: A value has another unit.
            ShapeError: An array has not one value a neuron.
            DomainError: A value is out of range, or the integrator cannot solve the equations.

        Warns:
            UserWarning: The equations are unstable with these values.

        Example:
            >>> from brian2 import ms
            >>> import mirrorneuron.bio as bio
            >>> cells = bio.neurons["lif"].group(3, name="cells", tau_m=[10, 15, 20] * ms)
            >>> cells.tau_m
            <cells.tau_m: array([10., 15., 20.]) * msecond>
        """
        asked = f"group({N}{f', name={name!r}' if name else ''})"
        held = dict(receptors or {})
        defaults = {**self.parameters}
        bounds = _bounds(self.positive, nonnegative=(self.refractory,))
        for label, model in held.items():
            defaults |= model.labelled(label)
            bounds |= _bounds(f"{parameter}_{label}" for parameter in model.positive)
        defaults |= {"I": self.current, **self.initial}
        self._require_labels(asked, held)
        chosen = self._method(asked, method, held)
        settled = settle(asked, defaults, values, N, bounds)
        if shared:
            states = {"I", *self.initial}
            _refuse_arrays(asked, {n: v for n, v in settled.items() if n not in states})
        _refuse_equal_time_constants(asked, chosen, settled)
        self._warn_of_instability(asked, settled)
        cells = NeuronGroup(
            N,
            self.text(held, shared=shared),
            threshold=self.threshold,
            reset=self.reset,
            refractory=self.hold or self.refractory or False,  # pyright: ignore[reportArgumentType]
            method=chosen,
            dt=dt,
            name=name or "neurongroup*",
        )
        for variable, value in settled.items():
            setattr(cells, variable, value)
        if self.before:
            cells.run_regularly(self.before, when="start", name=f"{cells.name}_before")
        return cells

    def _warn_of_instability(self, asked: str, values: Mapping[str, Any]) -> None:
        for one, other in self.stable:
            left, right = evaluate(one, values), evaluate(other, values)
            below = np.asarray(left) < np.asarray(right) * (1 - ROUNDING)
            if np.any(below):
                worst = int(np.argmax(np.atleast_1d(below)))
                low, high = (np.atleast_1d(x)[min(worst, np.size(x) - 1)] for x in (left, right))
                warnings.warn(
                    f"{asked}: {one} = {low} is below {other} = {high}"
                    f" ({np.count_nonzero(below)} of {np.size(below)} values). The equations are"
                    f" unstable below: without spikes, v swings further and further. Raise {one} to"
                    f" at least {high}, or lower {other}.",
                    UserWarning,
                    stacklevel=3,
                )

    def _require_labels(self, asked: str, held: Mapping[str, Receptor]) -> None:
        own = set(Equations(self.text())) if held else set[str]()
        for label, model in held.items():
            if not label.isidentifier():
                raise DomainError(
                    f"{asked}: the receptor label {label!r} is not a name. It becomes a part of"
                    " names in the equations. Write a word, like receptors={'e': ...}."
                )
            if twice := own.intersection(Equations(model.text(label))):
                raise DomainError(
                    f"{asked}: the receptor label {label!r} would make {', '.join(sorted(twice))},"
                    " which the neuron already has. Write another label, like"
                    f" receptors={{{label + '1'!r}: ...}}."
                )

    def _method(self, asked: str, method: str | None, held: Mapping[str, Receptor]) -> str:
        able = self.methods_with(held)
        if method is not None and method not in able:
            raise DomainError(
                f"{asked}: method={method!r} cannot solve these equations. A closed form needs"
                f" them linear, exponential Euler needs each linear in its own variable. Write"
                f" method={able[0]!r} (or {', '.join(map(repr, able[1:]))})."
            )
        return method or able[0]


def _declared(parameters: Mapping[str, str], shared: bool = False) -> str:
    flags = "shared, constant" if shared else "constant"
    lines = (f"{name} : {unit_text(evaluate(text))} ({flags})" for name, text in parameters.items())
    return "\n".join(lines)


def _bounds(positive: Iterable[str] = (), nonnegative: Iterable[str] = ()) -> dict[str, Bound]:
    return {**dict.fromkeys(nonnegative, ">= 0"), **dict.fromkeys(positive, "> 0")}


def _holds(held: Mapping[str, Any], wanted: Equations) -> bool:
    return all(key in held and _alike(held[key], wanted[key]) for key in wanted)


def _alike(one: Any, other: Any) -> bool:
    """Whether two equations are the same, one value for all or one a neuron."""
    return (one.type, one.dim, str(one.expr)) == (other.type, other.dim, str(other.expr))


def _refuse_arrays(asked: str, values: Mapping[str, Any]) -> None:
    several = [name for name, value in values.items() if np.ndim(value) > 0]
    why = "shared=True holds one value of each parameter for all neurons."
    instead = "Write one value, or leave shared=True out."
    found = (f"{name} is an array of shape {np.shape(values[name])}." for name in several)
    refuse(asked, [Fault(ShapeError, text, why, instead) for text in found])


def _refuse_equal_time_constants(asked: str, method: str, values: Mapping[str, Any]) -> None:
    """The closed form of Brian2 divides by the difference to the membrane's time constant."""
    if method != "exact" or "tau_m" not in values:
        return
    others = [name for name in values if name.startswith("tau_") and name != "tau_m"]
    equal = [name for name in others if np.any(values[name] == values["tau_m"])]
    why = "method='exact' divides by their difference, and v would be NaN."
    instead = "Write method='exponential_euler', or another value of one of them."
    refuse(
        asked, [Fault(DomainError, f"{name} is equal to tau_m.", why, instead) for name in equal]
    )
