"""What a file in `neurons/` provides: a neuron."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from brian2 import Equations, NeuronGroup
from brian2.units.fundamentalunits import Quantity

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, ShapeError, UnknownName

from .._model import Model, Receptor, bounds_of, declared
from .._quantity import Fault, evaluate, refuse, settle

ROUNDING = 1e-6  # published values that stand exactly on a border of stability are rounded


@checked
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
        lines = [self.equations.strip(), "I : amp", declared(self.parameters, shared)]
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
        bounds = bounds_of(self.positive, nonnegative=(self.refractory,))
        for label, model in held.items():
            defaults |= model.labelled(label)
            bounds |= bounds_of(f"{parameter}_{label}" for parameter in model.positive)
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
