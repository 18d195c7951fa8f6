"""Contracts of the models: Brian2 equations with their source, all of it text.

A model is a table. `NeuronModel.group` and `SynapseModel.connect` make ordinary Brian2 objects
from it: `model.text()` shows the equations that they hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from brian2 import Equations, NeuronGroup, Synapses
from brian2.units.fundamentalunits import Quantity

from mirrorneuron.errors import DomainError, UnknownName

from ._quantity import Bound, Fault, evaluate, refuse, settle, unit_text

M = TypeVar("M", bound="Model")


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
class SynapseModel(Model):
    """A receptor of the postsynaptic cell, and what a presynaptic spike does to it.

    `{r}` in the texts stands for the label of the receptor, so that a cell can have several of a
    kind; parameters carry it too, `tau` of receptor `e` is `tau_e`.

    Arguments:
        current: Current into the cell, of the receptor's states and of `v`, in ampere.
        on_pre: What a spike does, with the weight `w`.
        weight: A weight that moves a cell at rest by about a millivolt, as text.
    """

    current: str
    on_pre: str
    weight: str

    def text(self, receptor: str) -> str:
        """The equations that a cell with this receptor holds."""
        declared = _declared(self.labelled(receptor))
        return f"{self.equations.strip().format(r=receptor)}\n{declared}"

    def labelled(self, receptor: str) -> dict[str, str]:
        """The parameters under the names that they have in a cell."""
        return {f"{name}_{receptor}": text for name, text in self.parameters.items()}

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

        Returns:
            The synapses, connected.

        Raises:
            UnknownName: The target has no such receptor.
            UnitError: A weight or delay has another unit.
            ShapeError: There are more or fewer weights or delays than synapses.
            DomainError: A weight is not finite, or a delay is negative.
        """
        asked = f"connect({source.name!r}, {target.name!r}, {receptor!r})"
        self._require_receptor(asked, target, receptor)
        given = {k: v for k, v in {"w": w, "delay": delay}.items() if v is not None}
        defaults, bounds = {"w": self.weight, "delay": "0*ms"}, _bounds(nonnegative=("delay",))
        settle(asked, defaults, given, None, bounds)
        one_for_all = delay if np.ndim(delay) == 0 else None
        synapses = Synapses(
            source,
            target,
            model=f"w : {unit_text(evaluate(self.weight))}",
            on_pre=self.on_pre.format(r=receptor),
            delay=one_for_all,
            name=name or "synapses*",
        )
        synapses.connect(i=i, j=j, condition=condition, p=p)
        values = settle(asked, defaults, given, len(synapses), bounds)
        synapses.w = values["w"]
        if np.ndim(delay) > 0:
            synapses.delay = values["delay"]
        return synapses

    def _require_receptor(self, asked: str, target: Any, receptor: str) -> None:
        held = getattr(getattr(target, "source", target), "equations", {})
        if not _holds(held, Equations(self.text(receptor))):
            raise UnknownName(
                f"{asked}: the target {target.name!r} has no receptor {receptor!r} of this kind."
                f" A receptor is part of the cell's equations. Write"
                f" group(..., receptors={{{receptor!r}: model}}) with the model that you connect."
            )


@dataclass(frozen=True, kw_only=True)
class NeuronModel(Model):
    """A neuron: equations, threshold and reset.

    The equations may use `I`, the current that is given from outside, and `I_syn`, the sum of
    the currents of the receptors.

    Arguments:
        threshold: Condition of a spike.
        reset: What a spike does.
        refractory: Parameter that holds the refractory time; empty if there is none.
        initial: Value of each state at the start, as text that may use the parameters.
        drive: A constant current `I` under which the cell fires, as text.
        rate: Lowest and highest mean rate over the first second under that drive [Hz].
    """

    threshold: str
    reset: str
    refractory: str = ""
    initial: Mapping[str, str]
    drive: str
    rate: tuple[float, float]

    def text(self, receptors: Mapping[str, SynapseModel] | None = None) -> str:
        """The equations that a group with these receptors holds."""
        held = dict(receptors or {})
        currents = [model.current.format(r=label) for label, model in held.items()]
        lines = [self.equations.strip(), "I : amp", _declared(self.parameters)]
        lines += [f"I_syn = {' + '.join(currents) or '0*amp'} : amp"]
        return "\n".join(lines + [model.text(label) for label, model in held.items()])

    def methods_with(self, receptors: Mapping[str, SynapseModel] | None = None) -> tuple[str, ...]:
        """Integrators that can solve the equations with these receptors, the best first."""
        models = (receptors or {}).values()
        return tuple(m for m in self.methods if all(m in model.methods for model in models))

    def group(
        self,
        N: int,
        *,
        name: str | None = None,
        receptors: Mapping[str, SynapseModel] | None = None,
        method: str | None = None,
        dt: Quantity | None = None,
        **values: Any,
    ) -> NeuronGroup:
        """Make N neurons: a plain Brian2 `NeuronGroup`, every parameter one value a neuron.

        Arguments:
            N: Number of neurons.
            name: Of the group.
            receptors: Models of its receptors by label.
            method: Integrator; by default the first of `methods_with(receptors)`.
            dt: Time step; by default that of Brian2's clock.
            values: Parameters, initial states and the current `I`, one for all or one a neuron.

        Returns:
            The group, with its parameters and initial states set.

        Raises:
            UnknownName: A value is for something that the model does not have.
            UnitError: A value has another unit.
            ShapeError: An array has not one value a neuron.
            DomainError: A value is out of range, or the integrator cannot solve the equations.

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
        defaults |= {"I": "0*amp", **self.initial}
        self._require_labels(asked, held)
        chosen = self._method(asked, method, held)
        settled = settle(asked, defaults, values, N, bounds)
        _refuse_equal_time_constants(asked, chosen, settled)
        cells = NeuronGroup(
            N,
            self.text(held),
            threshold=self.threshold,
            reset=self.reset,
            refractory=self.refractory or False,  # pyright: ignore[reportArgumentType]
            method=chosen,
            dt=dt,
            name=name or "neurongroup*",
        )
        for variable, value in settled.items():
            setattr(cells, variable, value)
        return cells

    def _require_labels(self, asked: str, held: Mapping[str, SynapseModel]) -> None:
        own = set(Equations(self.text()))
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

    def _method(self, asked: str, method: str | None, held: Mapping[str, SynapseModel]) -> str:
        able = self.methods_with(held)
        if method is not None and method not in able:
            raise DomainError(
                f"{asked}: method={method!r} cannot solve these equations. A closed form needs"
                f" them linear, exponential Euler needs each linear in its own variable. Write"
                f" method={able[0]!r} (or {', '.join(map(repr, able[1:]))})."
            )
        return method or able[0]


def _declared(parameters: Mapping[str, str]) -> str:
    lines = (
        f"{name} : {unit_text(evaluate(text))} (constant)" for name, text in parameters.items()
    )
    return "\n".join(lines)


def _bounds(positive: Iterable[str] = (), nonnegative: Iterable[str] = ()) -> dict[str, Bound]:
    return {**dict.fromkeys(nonnegative, ">= 0"), **dict.fromkeys(positive, "> 0")}


def _holds(held: Mapping[str, Any], wanted: Equations) -> bool:
    return all(key in held and str(held[key]) == str(wanted[key]) for key in wanted)


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
