r"""The activation of the source, a shifted softplus, its inverse, and lines in place of that.

$\varphi(u) = s \log(1 + e^{u - h})$, $\varphi^{-1}(r) = h + \log(e^{r/s} - 1)$
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Line(NamedTuple):
    r"""A linear threshold, $\theta + \delta r$, in place of $\varphi^{-1}(r)$."""

    theta: float
    delta: float

    def __call__(self, rate: Any) -> Any:
        """The threshold at a rate."""
        return self.theta + self.delta * rate

    def text(self, rate: str) -> str:
        """The same in an equation."""
        return f"({self.theta!r} + {self.delta!r}*{rate})"


@dataclass(frozen=True)
class Softplus:
    """An activation.

    Arguments:
        scale: $s$, the slope far above the shift.
        shift: $h$, where the rate begins to rise.
    """

    scale: float = 1.0
    shift: float = 3.0

    def __call__(self, u: Any) -> Any:
        """Rate."""
        return self.scale * np.logaddexp(0.0, u - self.shift)

    def slope(self, u: Any) -> Any:
        """Derivative of the rate."""
        return self.scale / (1 + np.exp(self.shift - u))

    def inverse(self, rate: Any) -> Any:
        """Input that gives a rate above 0."""
        return self.shift + np.log(np.expm1(rate / self.scale))

    def line(self, rate: float) -> Line:
        """The inverse to first order around a rate."""
        u = self.inverse(rate)
        delta = 1 / self.slope(u)
        return Line(float(u - delta * rate), float(delta))

    def text(self, u: str) -> str:
        """The rate in an equation."""
        return f"{self.scale!r}*log1p(exp({u} - {self.shift!r}))"

    def slope_text(self, u: str) -> str:
        """Its derivative in an equation."""
        return f"{self.scale!r}/(1 + exp({self.shift!r} - {u}))"

    def inverse_text(self, rate: str) -> str:
        """Its inverse in an equation."""
        return f"({self.shift!r} + log(expm1({rate}/{self.scale!r})))"
