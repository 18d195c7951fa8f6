"""What a file in `synapses/` provides: a chemical synapse."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from brian2 import Synapses

from mirrorneuron._arguments import checked
from mirrorneuron.errors import UnknownName

from .._model import Receptor, bounds_of, declared
from .._quantity import evaluate, settle, unit_text


@checked
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
        bounds = bounds_of((n for n in self.constants if n in self.positive), ("delay",))
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
            lines.append(declared({name: text}, shared=np.ndim(given.get(name, 0)) == 0))
        return "\n".join(line for line in lines if line)
