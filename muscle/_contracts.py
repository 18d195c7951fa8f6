"""Contracts of the parts of a muscle: texts of Brian2 equations with their source.

Lengths of fibres are in optimal lengths, their velocities in maximal velocities (lengthening
positive), forces in maximal isometric forces.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from mirrorneuron._arguments import Finite, checked
from mirrorneuron.errors import UnknownName

from ._expression import evaluate, substitute

P = TypeVar("P", bound="Part")


@dataclass(frozen=True, kw_only=True)
class Part:
    """What all parts share: the paper's constants and where they come from.

    Arguments:
        constants: Value of each constant in the texts.
        variants: Other published values of some constants, by name.
        source: Paper, equation numbers, DOI, and in what the text differs from it: the docstring
            of the part's file.
    """

    constants: Mapping[str, float] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    source: str

    def variant(self: P, name: str) -> P:
        """The same part with the constants of one of its variants.

        Raises:
            UnknownName: There is no such variant.
        """
        if name not in self.variants:
            raise UnknownName.among(f"variant({name!r})", name, self.variants)
        return replace(self, constants={**self.constants, **self.variants[name]})

    def text(self, text: str, **names: str) -> str:
        """One of the texts with numbers for constants, and other names for its variables."""
        return substitute(text, {**self.constants, **names})


@checked
@dataclass(frozen=True, kw_only=True)
class Curves(Part):
    """Force-length, force-velocity and passive curve of a muscle fibre.

    The active force is `a*(active*velocity + compression)`, in maximal isometric forces.

    Arguments:
        active: Force-length factor, of the length `l`.
        velocity: Force-velocity factor, of the velocity `v`, the activation `a`, `l`, and `V`, the
            velocity in optimal lengths a second.
        inverse: The velocity (`v`, or `V` if `velocity` is a text of `V`), of the factor `f`, `a`
            and `l`.
        slope: Derivative of `velocity`, of `v`; empty if a compliant tendon cannot have it.
        passive: Passive force, of `l`.
        compression: What resists compression when the muscle is active, of `l`; may be empty.
        points: Defining points of `velocity` at full activation and optimal length: `v` (or `V`)
            and the factor.
        isometric: Whole force at full activation, optimal length and rest.
    """

    active: str
    velocity: str
    inverse: str
    slope: str = ""
    passive: str
    compression: str = ""
    points: tuple[tuple[float, float], ...]
    isometric: Finite

    def value(self, curve: str, **names: Any) -> Any:
        """Value of one of the texts, `value("active", l=1.1)`."""
        return evaluate(getattr(self, curve), {**self.constants, **names})


@checked
@dataclass(frozen=True, kw_only=True)
class Activation(Part):
    """Activation dynamics: how activation follows excitation.

    Arguments:
        equation: Derivative of the activation `a` towards the excitation `u`, with the time
            constants `tau_a` and `tau_d`.
    """

    equation: str


@checked
@dataclass(frozen=True, kw_only=True)
class Receptor(Part):
    """An afferent: its firing rate, of what its muscle does.

    Arguments:
        sense: What it senses, of `stretch` (fibre length beyond optimal [mm]), `speed` (of the
            fibre [mm/s]) and `tension` (force, in maximal isometric forces).
        states: Differential equations of its own states, of `sense`; may be empty.
        rate: Firing rate before it is floored at zero, of `sense` and the states [Hz].
    """

    sense: str
    states: str = ""
    rate: str
