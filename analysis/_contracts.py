"""What a statistic of single neurons is: a function of a raster, with its unit declared.

One file in `analysis/statistics/` is one statistic. It writes the formula as a function and
decorates it:

    @statistic(unit="1", label="CV2")
    def cv2(spikes: Bool[np.ndarray, "time neuron"], dt: float) -> Float[np.ndarray, " neuron"]: ...

`tests/laws/test_statistics.py` then holds it to its laws without a new test.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, Generic, ParamSpec

import numpy as np
from jaxtyping import Bool, Float

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError

Settings = ParamSpec("Settings")
Raster = Bool[np.ndarray, "time neuron"]
PerNeuron = Float[np.ndarray, " neuron"]


@checked
@dataclass(frozen=True)
class Statistic(Generic[Settings]):
    """A number for each neuron of a raster, nan where the neuron's spikes do not define it.

    Attributes:
        function: The formula.
        unit: Unit of the values, "1" for a pure number.
        label: How tables and axes call it.
        silent: Value for a neuron without spikes; nan unless silence is a measurement (a rate).
    """

    function: Callable[Concatenate[Raster, float, Settings], PerNeuron]
    unit: str
    label: str
    silent: float = math.nan

    def __post_init__(self) -> None:
        # As `functools.wraps` does, so that `inspect` and doctest find the formula's docstring.
        names = ("__module__", "__name__", "__qualname__", "__doc__")
        vars(self).update({name: getattr(self.function, name) for name in names})
        vars(self)["__wrapped__"] = self.function

    def __call__(
        self,
        spikes: Bool[np.ndarray, "time neuron"],
        dt: float,
        *args: Settings.args,
        **settings: Settings.kwargs,
    ) -> Float[np.ndarray, " neuron"]:
        """The statistic of every neuron, see the formula's own docstring for `settings`.

        Arguments:
            spikes: True where a neuron spikes in a step.
            dt: Length of a step [s].

        Raises:
            DomainError: The raster is not boolean with two axes, or dt is not positive.
        """
        check_raster(spikes, dt, f"{self.label}(spikes, dt)")
        return self.function(spikes, dt, *args, **settings)


@checked
def statistic(
    unit: str, label: str, silent: float = math.nan
) -> Callable[[Callable[Concatenate[Raster, float, Settings], PerNeuron]], Statistic[Settings]]:
    """Makes a formula a `Statistic`; the fields are those of the class."""

    def declare(
        function: Callable[Concatenate[Raster, float, Settings], PerNeuron],
    ) -> Statistic[Settings]:
        return Statistic(function, unit, label, silent)

    return declare


def check_raster(spikes: object, dt: float, asked: str) -> None:
    """Refuses what is no raster: wrong type of values, wrong number of axes, no step length.

    Raises:
        DomainError: As described.
    """
    if not isinstance(spikes, np.ndarray) or spikes.dtype != np.bool_ or spikes.ndim != 2:
        raise DomainError(
            f"{asked}: spikes is {_describe(spikes)}. A raster is a boolean array [time, neuron], "
            "so that a spike cannot be counted twice. Write (spikes > 0), and spikes[:, None] for "
            "one neuron."
        )
    check_positive(dt, asked, "dt", "s")


def check_positive(value: float | int, asked: str, name: str, unit: str) -> None:
    """Refuses zero, negative, infinite and missing numbers.

    Raises:
        DomainError: `value` is none of the finite numbers above zero.
    """
    if not (value > 0 and math.isfinite(value)):
        raise DomainError(
            f"{asked}: {name} is {value} {unit}. It has to be a finite number above zero. "
            f"Give {name} in {unit} as a plain number, {name}=0.001 for instance."
        )


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    return f"a {type(value).__name__}"
