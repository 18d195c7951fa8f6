r"""Differentiable synapse: it answers the passage of the potential through a zone, smoothly.

$\tau \dot s = -s + \tau\, g(v)\, \dot v$, with a gate g of unit area on a zone below threshold:
each passage raises s by one, and half a passage by less. With $G = \int g\, dv$ and the number n of
passages so far, $s = u + G(v) + n$ and $\dot u = -s/\tau$ say the same without $\dot v$. No narrow
zone is stepped over, and a reset by one period changes nothing in s, so that each step of an
integrator is a smooth map of state and parameters: gradients are exact, without a surrogate, with
mirror(net, reset_gradient="detach"). That needs equations that are the same on both sides of the
reset, as those of a theta neuron are.

Source: Huh & Sejnowski 2018, Gradient descent for spiking neural networks, NeurIPS 31,
arXiv:1706.04698, equations 1 to 4.
Differs from it: s rises by one, not by 1/tau; the gate is the derivative of a smoothstep of fifth
order (Perlin 2002, doi:10.1145/566654.566636).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mirrorneuron.errors import DomainError


@dataclass(frozen=True)
class DifferentiableSynapse:
    """Equations for the cell that sends; others read its s through a summed variable.

    Arguments:
        filters: Name of each trace to its time constant, as text; they share the passages.
        low, high: Borders of the zone, in periods of v above the reset, between 0 and 1.
        reset, period: Value of v after a reset, and its distance from there to the threshold.

    Raises:
        DomainError: There is no trace, or the zone is none.

    Example:
        >>> made = DifferentiableSynapse({"s": "20*ms"})
        >>> print(made.on_reset)
        v -= (1); passages += 1
    """

    filters: Mapping[str, str]
    low: float = 0.25
    high: float = 0.75
    reset: str = "0"
    period: str = "1"

    def __post_init__(self) -> None:
        if not self.filters:
            raise DomainError(
                "DifferentiableSynapse({}): there is no trace that others could read. Write"
                " DifferentiableSynapse({'s': '20*ms'})."
            )
        if not 0 <= self.low < self.high <= 1:
            raise DomainError(
                f"DifferentiableSynapse(low={self.low}, high={self.high}): the zone lies between"
                " reset and threshold, from 0 to 1 in periods, and its lower border comes first, or"
                " a passage would leave no charge. Write low=0.25, high=0.75."
            )

    @property
    def equations(self) -> str:
        """What to append to the equations of a cell with a variable v."""
        place = f"(v - ({self.reset}))/({self.period})"
        lines = [
            f"zone = clip(({place} - {self.low})/{self.high - self.low}, 0, 1) : 1",
            "charge = zone**3*(10 - 15*zone + 6*zone**2) + passages : 1",
            "passages : 1",
        ]
        for name, tau in self.filters.items():
            lines += [
                f"d{name}_rest/dt = -{name}/({tau}) : 1",
                f"{name} = {name}_rest + charge : 1",
            ]
        return "\n".join(lines)

    @property
    def on_reset(self) -> str:
        """The reset: it keeps what v has beyond the threshold."""
        return f"v -= ({self.period}); passages += 1"
