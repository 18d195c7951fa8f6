"""Values over several seeds, as mean and spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from mirrorneuron.analysis import Table


@dataclass(frozen=True)
class OverSeeds:
    """One number, found with several seeds.

    Arguments:
        values: One a seed.
    """

    values: Sequence[float]

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """Their standard deviation, NaN for one seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")

    @property
    def confidence(self) -> float:
        """Half the width of the 95 % confidence interval of the mean, NaN for one seed."""
        n = len(self.values)
        quantile = float(student.ppf(0.975, n - 1)) if n > 1 else float("nan")
        return quantile * self.deviation / n**0.5

    def text(self, scale: float = 1.0, digits: int = 2) -> str:
        """As "mean ± half the confidence interval"."""
        spread = f" ± {self.confidence * scale:.{digits}f}" if len(self.values) > 1 else ""
        return f"{self.mean * scale:.{digits}f}{spread}"


def seeds_table(
    title: str,
    columns: Sequence[str],
    rows: Mapping[str, Sequence[Sequence[float]]],
    published: Mapping[str, str] | None = None,
    scale: float = 1.0,
    digits: int = 2,
) -> Table:
    """A table of means over seeds, with the half-width of their 95 % confidence intervals.

    Arguments:
        title: Of the table.
        columns: Names, the first one of the rows.
        rows: By name, for each further column the values over the seeds.
        published: By name, what the source has, in a last column of that name.
        scale, digits: Of the numbers.
    """
    made = tuple(
        (
            name, *(OverSeeds(values).text(scale, digits) for values in found),
            *([published.get(name, "-")] if published is not None else []),
        )
        for name, found in rows.items()
    )  # fmt: skip
    return Table(title, (*columns, *(["published"] if published is not None else [])), made)
