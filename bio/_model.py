"""What neurons, receptors and junctions share: Brian2 equations with their source, all of it text.

A model is a table. `NeuronModel.group` and `SynapseModel.connect` make ordinary Brian2 objects
from it: `model.text()` shows the equations that they hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from brian2 import Equations

from mirrorneuron.errors import UnknownName

from ._quantity import Bound, evaluate, unit_text

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

    def __str__(self) -> str:
        """The source, the equations and the values: what one wants to read."""
        values = "\n".join(f"{name} = {text}" for name, text in self.parameters.items())
        return f"{self.source.strip()}\n\n{self.equations.strip()}\n\n{values}"

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
        lines = declared(self.labelled(receptor), shared)
        return f"{self.equations.strip().format(r=receptor)}\n{lines}"

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


def declared(parameters: Mapping[str, str], shared: bool = False) -> str:
    """Declarations of parameters, as equations hold them."""
    flags = "shared, constant" if shared else "constant"
    lines = (f"{name} : {unit_text(evaluate(text))} ({flags})" for name, text in parameters.items())
    return "\n".join(lines)


def bounds_of(positive: Iterable[str] = (), nonnegative: Iterable[str] = ()) -> dict[str, Bound]:
    """Bounds of parameters, as `settle` takes them."""
    return {**dict.fromkeys(nonnegative, ">= 0"), **dict.fromkeys(positive, "> 0")}


def _holds(held: Mapping[str, Any], wanted: Equations) -> bool:
    return all(key in held and _alike(held[key], wanted[key]) for key in wanted)


def _alike(one: Any, other: Any) -> bool:
    """Whether two equations are the same, one value for all or one a neuron."""
    return (one.type, one.dim, str(one.expr)) == (other.type, other.dim, str(other.expr))
