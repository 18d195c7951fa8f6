"""Contract of the plasticity rules: what changes a weight, as text, and in closed form.

A rule changes the weight `w` of a synapse onto any receptor. What it compares presynaptic spikes
with are spikes of the postsynaptic cell, or those of a teacher (a climbing fibre, a Purkinje cell),
which reach the postsynaptic cell and leave a trace there that its synapses read:

    rule = bio.plasticity["pf_pc_sinexp"]
    cells = rule.taught(model).group(10, receptors={"pf": receptor})
    fibres = rule.teach(olive, cells, i=..., j=...)
    learning = rule.connect(granules, cells, receptor, "pf", i=..., j=..., delay=5*ms)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from brian2 import Equations, Hz, NeuronGroup, Synapses, get_unit
from brian2.units.fundamentalunits import Quantity, get_dimensions
from jaxtyping import Float
from numpy.typing import NDArray

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, ShapeError, UnitError, UnknownName

from .._quantity import (
    Bound,
    Fault,
    evaluate,
    refuse,
    settle,
    unit_text,
)
from ..neurons._contracts import NeuronModel
from ..synapses._contracts import SynapseModel

Array = NDArray[Any]
Values = Mapping[str, float]
Change = Callable[[Float[Array, " spike"], Float[Array, " other"], Values], float]
Drift = Callable[[float, float, Values], float]
BORDERS = ("w_min", "w_max")


def no_change(pre: Array, other: Array, p: Values) -> float:
    """The closed form of a rule that states none.

    Raises:
        DomainError: Always.
    """
    raise DomainError(
        "PlasticityRule.change: this rule states no closed form, which only its tests need. Give"
        " the rule change=lambda pre, other, p: ..."
    )


def no_drift(pre: float, other: float, p: Values) -> float:
    """The mean change of a rule that states none.

    Raises:
        DomainError: Always.
    """
    raise DomainError(
        "PlasticityRule.drift: this rule states no mean change, which only its tests need. Give the"
        " rule drift=lambda pre, other, p: ..."
    )


@checked
@dataclass(frozen=True, kw_only=True)
class Teaching:
    """What a taught cell holds: the spikes of its teacher, and what synapses read of them.

    `{c}` in the texts stands for the label of the teacher. A spike of the teacher adds 1 to
    `n_{c}`; at the start of the next step `before` turns that into what synapses read.

    Arguments:
        equations: Variables of the cell.
        before: Statements at the start of each step.
        parameters: Value of each parameter, as text with its unit.
        initial: Value of each variable at the start that is not 0, as text.
        threshold: Another condition of a spike; empty if the teacher causes none.
        reset: What a spike does besides.
    """

    equations: str
    before: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    initial: Mapping[str, str] = field(default_factory=dict)
    threshold: str = ""
    reset: str = ""

    def text(self, label: str) -> str:
        """The equations that a cell with this teacher holds."""
        values = {n: evaluate(text) for n, text in self.labelled(label).items()}
        declared = (f"{name} : {unit_text(value)} (constant)" for name, value in values.items())
        return "\n".join([self.equations.strip().format(c=label), *declared])

    def labelled(self, label: str) -> dict[str, str]:
        """The parameters under the names that they have in a cell."""
        return {f"{name}_{label}": text for name, text in self.parameters.items()}

    def code(self, label: str) -> str:
        """The statements at the start of each step."""
        return self.before.strip().format(c=label)


@checked
@dataclass(frozen=True, kw_only=True)
class PlasticityRule:
    """How the weight of a synapse changes.

    The parameters named in `weighted` are numbers in units of the weight: of `unit` where the
    source has one, else of what `connect` is given.

    Arguments:
        states: Equations that each synapse holds besides `w` and the parameters; `{w}` in them
            stands for the unit of the weight.
        start: Value of a state at the start that is not 0, as an expression, "w" for the weight.
        on_pre: What the arrival of a spike does to `w`, after it was transmitted.
        late: What it does one `window` of the teaching later.
        on_post: What a spike of the postsynaptic cell does to `w`.
        every: What happens to every synapse at the start of each step, after the teaching.
        parameters: Value of each parameter of the synapses, as text with its unit.
        weighted: Parameters in units of the weight, `w_min` and `w_max` among them.
        positive: Parameters that have to be above zero.
        unit: Unit of the weight in the source; empty if it is relative.
        weight: Weight at the start, in units of the weight, as text.
        variants: Other published values of some parameters, by the name of their source.
        teaching: What a cell holds for this rule; None where its own spikes are compared.
        change: Closed form: total change of the weight, not clipped, of the arrivals of
            presynaptic spikes [s], the spikes that they are compared with [s], and the parameters,
            among which `end` is the time of the last step [s].
        drift: Mean change per second where both are independent Poisson trains, of their rates
            [Hz] and the parameters; left out where weights relax, so that there is no such mean.
            Both are needed by tests alone.
        neutral: Rate of the compared spikes at which that vanishes [Hz], of the parameters; None
            if there is no such rate.
        genn: Whether the rule lies inside of what our translation to GeNN can do; else why not,
            as a part of what `genn_findings` says.
        source: Paper, repository, and in what the rule differs: the docstring of its file.

    Raises:
        DomainError: `w_min` or `w_max` is missing.
    """

    on_pre: str
    states: str = ""
    start: Mapping[str, str] = field(default_factory=dict)
    late: str = ""
    on_post: str = ""
    every: str = ""
    parameters: Mapping[str, str]
    weighted: tuple[str, ...]
    positive: tuple[str, ...] = ()
    unit: str = ""
    weight: str
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    teaching: Teaching | None = None
    change: Change = no_change
    drift: Drift = no_drift
    neutral: Callable[[Values], float] | None = None
    genn: Literal[True] | str = True
    source: str

    def __post_init__(self) -> None:
        missing = [n for n in BORDERS if n not in self.parameters or n not in self.weighted]
        if missing:
            raise DomainError(
                f"PlasticityRule(...): {' and '.join(missing)} is not among `parameters` and"
                " `weighted`, so that nothing says between which values a weight stays. Write"
                ' parameters={"w_min": "0", "w_max": "1", ...}, weighted=("w_min", "w_max", ...).'
            )

    def variant(self, name: str) -> "PlasticityRule":
        """The same rule with the parameters of one of its variants.

        Raises:
            UnknownName: There is no such variant.
        """
        if name not in self.variants:
            raise UnknownName.among(f"variant({name!r})", name, self.variants)
        values = dict(self.variants[name])
        weight = values.pop("w", self.weight)
        teaching = self.teaching
        if teaching is not None:
            held = {k: values.pop(k, text) for k, text in teaching.parameters.items()}
            teaching = replace(teaching, parameters=held)
        return replace(
            self, parameters={**self.parameters, **values}, teaching=teaching, weight=weight
        )

    def values(self, **given: Any) -> dict[str, float]:
        """Every parameter as a number in SI units, weighted ones in units of the weight.

        Arguments:
            given: Parameters that differ.

        Raises:
            UnknownName: There is no such parameter.
            UnitError: A parameter has another unit.
        """
        texts = {**self.parameters, **(self.teaching.parameters if self.teaching else {})}
        settled = settle("values(...)", texts, given, None, self._bounds())
        return {name: float(np.asarray(value)) for name, value in settled.items()}

    def neutral_rate(self, **given: Any) -> Quantity:
        """Rate of the compared spikes at which the weight does not drift, without correlations.

        Arguments:
            given: Parameters that differ.

        Raises:
            DomainError: There is no such rate.
        """
        values = self.values(**given)
        rate = self.neutral(values) if self.neutral is not None else np.nan
        if not (np.isfinite(rate) and rate > 0):
            raise DomainError(
                f"neutral_rate(...): potentiation and depression cancel at no rate with {values}."
                " A neutral rate needs one of them to grow with the rate alone. Choose parameters"
                " of opposite signs, or another rule."
            )
        neutral: Any = rate * Hz
        return neutral

    # ---- the cell

    def equations(self, label: str = "cf") -> str:
        """What the postsynaptic group has to hold: add it to its equations; empty if nothing."""
        return self.teaching.text(label) if self.teaching is not None else ""

    def taught(self, model: NeuronModel, label: str = "cf") -> NeuronModel:
        """A neuron model with what this rule needs in the postsynaptic cell.

        Arguments:
            model: The neuron; the same where the rule needs nothing.
            label: Of the teacher.

        Raises:
            DomainError: The model has a variable of that name already.
        """
        teaching = self.teaching
        if teaching is None:
            return model
        added = Equations(teaching.text(label))
        if shared := sorted(set(added) & set(Equations(model.text()))):
            raise DomainError(
                f"taught(..., {label!r}): the model has {', '.join(shared)} already. Every teacher"
                f" has variables of its own. Write another label, taught(..., {label + '2'!r})."
            )
        initial = {f"{n}_{label}": text for n, text in teaching.initial.items()}
        if teaching.threshold:
            other = teaching.threshold.format(c=label)
            model = replace(model, threshold=f"({model.threshold}) or {other}")
        return replace(
            model,
            equations=f"{model.equations.strip()}\n{teaching.equations.strip().format(c=label)}",
            parameters={**model.parameters, **teaching.labelled(label)},
            positive=(*model.positive, *teaching.labelled(label)),
            initial={**model.initial, **initial},
            before="\n".join(filter(None, [model.before.strip(), teaching.code(label)])),
            reset="\n".join(
                filter(None, [model.reset.strip(), teaching.reset.strip().format(c=label)])
            ),
        )

    def prepare(self, cells: NeuronGroup, label: str = "cf", **given: Any) -> NeuronGroup:
        """Let a group of your own, whose equations have `equations(label)`, follow its teacher.

        Sets the parameters and adds the code that runs at each step. A group of `taught(model)`
        does that by itself.

        Arguments:
            cells: The group.
            label: Of the teacher.
            given: Parameters of the teaching that differ, without the label.

        Raises:
            UnknownName: The group does not hold the equations, or there is no such parameter.
            DomainError: The rule has no teacher, or the group runs the code already.
        """
        asked = f"prepare({cells.name!r}, {label!r})"
        teaching = self._require_equations(asked, cells, label)
        if _runs(cells, teaching.code(label)):
            raise DomainError(
                f"{asked}: the group follows {label!r} already, and would do so twice a step."
                " A group is prepared once for all synapses with this teacher. Leave this out."
            )
        positive: dict[str, Bound] = dict.fromkeys(teaching.parameters, "> 0")
        values = settle(asked, {**teaching.parameters, **teaching.initial}, given, None, positive)
        for name, value in values.items():
            setattr(cells, f"{name}_{label}", value)
        cells.run_regularly(teaching.code(label), when="start", name=f"{cells.name}_{label}")
        return cells

    def teach(
        self,
        source: Any,
        target: Any,
        label: str = "cf",
        *,
        i: Any,
        j: Any,
        delay: Any = None,
        name: str | None = None,
    ) -> Synapses:
        """Connect a teacher: a plain Brian2 `Synapses` whose spikes do nothing but teach.

        Arguments:
            source: Group that teaches.
            target: Group of `taught` cells.
            label: Of the teacher.
            i: Indices of the teachers.
            j: Indices of the taught.
            delay: Of all, by default none.
            name: Of the Synapses.

        Raises:
            UnknownName: The target does not hold what the rule needs.
            DomainError: The rule has no teacher, or the target does not run what it needs.
        """
        asked = f"teach({source.name!r}, {target.name!r}, {label!r})"
        self._require_taught(asked, target, label)
        given = {} if delay is None else {"delay": delay}
        bounds: dict[str, Bound] = {"delay": ">= 0"}
        settled = settle(asked, {"delay": "0*ms"}, given, 1, bounds)["delay"]
        fibres = Synapses(
            source, target, on_pre=f"n_{label}_post += 1", delay=settled, name=name or "synapses*"
        )
        fibres.connect(i=i, j=j)
        return fibres

    # ---- the synapses

    def connect(
        self,
        source: Any,
        target: Any,
        receptor: SynapseModel,
        to: str,
        *,
        i: Any,
        j: Any,
        label: str = "cf",
        w: Any = None,
        unit: Any = None,
        delay: Any = None,
        name: str | None = None,
        **given: Any,
    ) -> Synapses:
        """Connect two groups by synapses that learn: a plain Brian2 `Synapses` with weights `w`.

        Arguments:
            source: Group that spikes.
            target: Group that has the receptor and, where there is a teacher, `equations(label)`.
            receptor: Model of the receptor.
            to: Its label in the target.
            i: Indices of the presynaptic neurons.
            j: Indices of the postsynaptic neurons.
            label: Of the teacher.
            w: Weight at the start, one for all or one a synapse.
            unit: What 1 is in the weighted parameters, by default the `unit` of the source.
            delay: Of the transmission, one for all (a homogeneous delay in Brian2) or one a
                synapse. Learning that waits for a teacher comes a `window` later.
            name: Of the Synapses.
            given: Parameters that differ; weighted ones are quantities like `w`. Each is one value
                for all synapses, `shared` in Brian2.

        Returns:
            The synapses, connected.

        Raises:
            UnknownName: The target lacks the receptor or the teaching, or there is no such
                parameter.
            UnitError: A value has another unit, or the weight of the receptor is in another unit
                than the rule, and no `unit` is given.
            ShapeError: An array has not one value a synapse, or a parameter is one.
            DomainError: A value is out of range, the weight outside of its bounds, or the target
                does not follow its teacher.
        """
        asked = f"connect({source.name!r}, {target.name!r}, {to!r})"
        receptor.require(asked, target, to)
        if self.teaching is not None:
            self._require_taught(asked, target, label)
        texts = self._texts(asked, receptor, unit)
        chosen = {k: v for k, v in {"w": w, "delay": delay}.items() if v is not None}
        defaults = {**texts, "delay": "0*ms", **receptor.constants}
        settle(asked, defaults, {**chosen, **given}, None, self._bounds())
        refuse(asked, [_single(name, value) for name, value in given.items()])
        synapses = Synapses(
            source,
            target,
            model=self._model(receptor, texts),
            on_pre=self._pathways(receptor, to, label),
            on_post=self.on_post.strip().format(c=label) or None,
            name=name or "synapses*",
            **self._delays(asked, target, label, delay),
        )
        synapses.connect(i=i, j=j)
        settled = settle(asked, defaults, {**chosen, **given}, len(synapses), self._bounds())
        _require_within(asked, settled)
        for variable in (*self.parameters, *receptor.constants, "w"):
            setattr(synapses, variable, settled[variable])
        for state, text in receptor.start.items():
            setattr(synapses, state, evaluate(text))
        for state, text in self.start.items():
            setattr(synapses, state, text)
        if np.ndim(delay) > 0:
            synapses.pre.delay = settled["delay"]
            if self.late:
                synapses.late.delay = settled["delay"] + self._window(asked, target, label)
        if self.every:
            code = self.every.strip().format(c=label)
            regular = f"{synapses.name}_every"
            synapses.run_regularly(code, when="start", order=1, name=regular)
        return synapses

    def _pathways(self, receptor: SynapseModel, to: str, label: str) -> dict[str, str]:
        pre = f"{receptor.on_pre.format(r=to)}\n{self.on_pre.strip().format(c=label)}"
        late = {"late": self.late.strip().format(c=label)} if self.late else {}
        return {"pre": pre, **late}

    def _model(self, receptor: SynapseModel, texts: Mapping[str, str]) -> str:
        declared = (
            f"{name} : {unit_text(evaluate(texts[name]))} (shared, constant)"
            for name in self.parameters
        )
        return "\n".join([receptor.synaptic(), self.held(receptor.weight), *declared])

    def held(self, weight: str = "1") -> str:
        """Equations of the states, where a weight is like `weight`."""
        return self.states.strip().format(w=unit_text(evaluate(weight)))

    def _delays(self, asked: str, target: Any, label: str, delay: Any) -> dict[str, Any]:
        """Delays of the pathways, where they are one for all."""
        if np.ndim(delay) > 0:
            return {}
        one = evaluate("0*ms") if delay is None else delay
        if not self.late:
            return {"delay": {"pre": one}}
        return {"delay": {"pre": one, "late": one + self._window(asked, target, label)}}

    def _window(self, asked: str, target: Any, label: str) -> Any:
        variable = f"window_{label}"
        values = np.unique(np.atleast_1d(np.asarray(getattr(target, variable))))
        if len(values) != 1:
            raise DomainError(
                f"{asked}: {variable} has {len(values)} different values in {target.name!r}. It is"
                " the delay of learning, one for all synapses of a Synapses. Connect to a part of"
                " the group, target[:10], where it is one value."
            )
        return float(values[0]) * evaluate("1*second")

    def _texts(self, asked: str, receptor: SynapseModel, unit: Any) -> dict[str, str]:
        """Parameters and weight as text, the weighted ones in the unit of the receptor's weight."""
        needed = evaluate(receptor.weight)
        one = evaluate(f"1*{self.unit}") if unit is None and self.unit else unit
        if one is None or get_dimensions(one) != get_dimensions(needed):
            own = f"in {self.unit}" if self.unit else "relative numbers"
            found = f"unit={unit!r}" if unit is not None else f"its weights are {own}"
            raise UnitError(
                f"{asked}: the receptor needs w in {unit_text(needed)}, and {found}. The weighted"
                f" parameters ({', '.join(self.weighted)}) are multiples of one weight. Write what"
                f" 1 is, like unit={get_unit(get_dimensions(needed))!r}*1e-9."
            )
        scale = f"*{float(np.asarray(one))!r}*{unit_text(needed)}"
        scale = scale.removesuffix("*1")
        texts = {n: t + scale * (n in self.weighted) for n, t in self.parameters.items()}
        return {**texts, "w": self.weight + scale}

    def _bounds(self) -> dict[str, Bound]:
        bounds: dict[str, Bound] = dict.fromkeys(self.positive, "> 0")
        return {**bounds, "delay": ">= 0"}

    # ---- what the target has to be

    def _require_equations(self, asked: str, target: Any, label: str) -> Teaching:
        if self.teaching is None:
            raise DomainError(
                f"{asked}: this rule compares the spikes of the two cells that a synapse joins,"
                " and has no teacher. Leave this out."
            )
        group = getattr(target, "source", target)
        held: Any = getattr(group, "equations", {})
        wanted = Equations(self.teaching.text(label))
        if missing := [n for n in wanted if n not in held or held[n].dim != wanted[n].dim]:
            raise UnknownName(
                f"{asked}: the target {target.name!r} has no {', no '.join(missing)}. The synapses"
                f" read from the postsynaptic cell what {label!r} taught. Write"
                f" rule.taught(model, {label!r}).group(...), or add rule.equations({label!r}) to"
                f" the equations of your group and write rule.prepare(group, {label!r})."
            )
        return self.teaching

    def _require_taught(self, asked: str, target: Any, label: str) -> None:
        teaching = self._require_equations(asked, target, label)
        group = getattr(target, "source", target)
        if not _runs(group, teaching.code(label)):
            raise DomainError(
                f"{asked}: the target {target.name!r} has the variables of {label!r}, and no code"
                " that follows its spikes at the start of each step. Write"
                f" rule.prepare({target.name}, {label!r})."
            )


def _runs(group: Any, code: str) -> bool:
    """Whether a group runs some code regularly."""
    held = (getattr(obj, "abstract_code", None) or "" for obj in group.contained_objects)
    return any(code in text for text in held)


def _single(name: str, value: Any) -> Fault | None:
    if np.ndim(value) == 0:
        return None
    found = f"{name} is an array of shape {np.shape(value)}."
    why = "A parameter of a rule is one value for all of its synapses."
    return Fault(ShapeError, found, why, "Write one value, or connect by several rules.")


def _require_within(asked: str, settled: Mapping[str, Any]) -> None:
    low, high, w = settled["w_min"], settled["w_max"], settled["w"]
    if np.any(np.asarray(w) < np.asarray(low)) or np.any(np.asarray(w) > np.asarray(high)):
        raise DomainError(
            f"{asked}: w from {np.min(w)} to {np.max(w)} is not between w_min={low} and"
            f" w_max={high}. The first change would jump there. Write another w, or other bounds."
        )
