"""GradientCheck: a gradient beside central differences, and what to make of it.

Source: the jackknife, Efron & Stein 1981, doi:10.1214/aos/1176345462.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from mirrorneuron._arguments import Count, FromZero, checked

COSINE, SMALLEST, LARGEST = 0.95, 0.6, 1.7
ROUGH = 0.7
FAINT = 3.0  # times its standard error: below, the truth has no direction to speak of
VAGUE = 0.1  # standard error of a cosine
FAR = 10.0  # times what the truth can be at most: a gradient as large is wrong in any case
COLUMNS = ("parameter", "truth", "gradient", "ratio")
Verdict = Literal["trusted", "size off", "direction off", "wrong", "cannot be told"]


class Estimate(NamedTuple):
    """A value and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.error:.2g}"


@checked
@dataclass(frozen=True)
class GradientCheck:
    r"""A gradient beside central differences.

    All derivatives are by the logarithm of a parameter, $a \, dL/da$, in the unit of the loss: the
    change of the loss when the whole parameter becomes e times as large, to first order. A row of
    `truths` and `gradients` belongs to a block of trials, or, where all trials are equal, to a size
    of the step.

    Arguments:
        keys: The parameters.
        truths: Central differences of the loss, "block parameter".
        gradients: The gradient along the parameter itself, "block parameter".
        weights: Number of trials in each block.
        trials: Number of trials that differ.
        steps: Relative steps of the differences.
        loss: Mean loss of the trials.
        duration: Of a trial [s].
    """

    keys: tuple[str, ...]
    truths: Float[np.ndarray, "block parameter"]
    gradients: Float[np.ndarray, "block parameter"]
    weights: tuple[int, ...]
    trials: Count
    steps: tuple[float, ...]
    loss: float
    duration: FromZero

    @property
    def truth(self) -> dict[str, Estimate]:
        """Central difference of each parameter."""
        return self._each(lambda truth, _: truth)

    @property
    def gradient(self) -> dict[str, Estimate]:
        """Gradient of each parameter."""
        return self._each(lambda _, gradient: gradient)

    @cached_property
    def cosine(self) -> Estimate:
        """Cosine between gradient and truth: 1 where they point the same way."""
        value, error = self._jackknife(lambda t, g: _cosine(g, t))
        return Estimate(float(value), float(error))

    @cached_property
    def size(self) -> Estimate:
        """Norm of the gradient divided by that of the truth."""
        value, error = self._jackknife(lambda t, g: _ratio(_norm(g), _norm(t)))
        return Estimate(float(value), float(error))

    @property
    def verdict(self) -> Verdict:
        """What to make of it, in two words.

        Trusted is a cosine of .95 or more and a size between .6 and 1.7. Where one of them misses
        that by less than two standard errors, or the truth is less than three standard errors from
        zero, or the standard errors of cosine and size are above .1 and half the size, it cannot be
        told; a gradient many times larger than the truth is wrong all the same.
        """
        cosine, size = self.cosine, self.size
        straight = cosine.value >= COSINE
        if not self._finite:
            return "wrong"
        if straight and SMALLEST <= size.value <= LARGEST and not (self._faint or self._vague):
            return "trusted"
        if self._faint or self._vague or self._near:
            return "wrong" if self._far else "cannot be told"
        if straight:
            return "size off"
        return "direction off" if cosine.value >= ROUGH else "wrong"

    @property
    def ok(self) -> bool:
        """Whether the gradient is to be trusted."""
        return self.verdict == "trusted"

    @property
    def explanation(self) -> str:
        """The verdict in a sentence."""
        off = f"{self.size.value:.3g} times as large as the truth"
        if not self._finite:
            return "the gradient is not finite"
        if not (self._length or self._noise):
            return (
                "the loss is the same with every parameter shifted: the group that it looks at may"
                " be silent, or the parameters act later than the trial lasts. Raise its drive, or"
                " give a longer duration"
            )
        if self._faint:
            seen = f"the truth's norm is {self._length:.3g}, no more than {FAINT:g} times its own"
            seen += f" standard error, {self._noise:.2g}"
            more = "Give more trials, a longer duration, or a larger step"
            return f"{seen}, and the gradient is {off}" if self._far else f"{seen}. {more}"
        said: dict[Verdict, str] = {
            "trusted": "direction and size are those of central differences",
            "size off": f"the direction is right, but the gradient is {off}. An optimiser that"
            " does not look at the size, such as Adam, can use it",
            "direction off": f"the direction is roughly right, and the gradient {off}",
            "wrong": f"the gradient points elsewhere and is {off}. Look at model.report: is a reset"
            " detached, or the width of a surrogate given by hand?",
            "cannot be told": "cosine or size are within two standard errors of the limits, or the"
            " errors are too large. Give more trials",
        }
        return said[self.verdict]

    def __str__(self) -> str:
        table = [COLUMNS, *self._rows()]
        widths = [max(len(row[k]) for row in table) for k in range(len(COLUMNS))]
        lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in table)
        together = f"together: cosine {self.cosine}, size {self.size}"
        return "\n".join(
            [self._headline(), "", *map(str.rstrip, lines), "", together, self._judgement()]
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{c}</th>" for c in COLUMNS)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in self._rows()
        )
        return (
            f"<p>{escape(self._headline())}</p><table><tr>{head}</tr>{rows}</table>"
            f"<p>cosine {self.cosine}, size {self.size}<br>{escape(self._judgement())}</p>"
        )

    def to_json(self, path: str | Path | None = None) -> str:
        """All numbers as JSON, also written to a file where a path is given."""
        text = json.dumps(self._plain(), indent=2)
        if path is not None:
            Path(path).write_text(text + "\n")
        return text

    def _plain(self) -> dict[str, Any]:
        truth, gradient = self.truth, self.gradient
        return {
            "verdict": self.verdict,
            "explanation": self.explanation,
            "cosine": _plain(self.cosine),
            "size": _plain(self.size),
            "loss": self.loss,
            "duration": self.duration,
            "trials": self.trials,
            "steps": list(self.steps),
            "parameters": {
                key: {"truth": _plain(truth[key]), "gradient": _plain(gradient[key])}
                for key in self.keys
            },
        }

    def _headline(self) -> str:
        told = f"{self.trials} trials" if self.trials > 1 else "a trial without chance"
        steps = ", ".join(f"{100 * h:.3g}" for h in self.steps)
        return (
            f"Gradient by the logarithm of each parameter, against central differences of ± {steps}"
            f" %: {told}, {self.duration * 1e3:g} ms each, mean loss {self.loss:.4g}."
        )

    def _judgement(self) -> str:
        said = f"{self.verdict}: {self.explanation}."
        alone = self.off_alone if self.ok else []
        more = f" That is of all together: {', '.join(alone)} alone would be off." if alone else ""
        return said + more

    @property
    def off_alone(self) -> list[str]:
        """Parameters whose own ratio is beyond the limits of size, where their truth is known."""
        truth, gradient = self.truth, self.gradient
        ratios = {key: _ratio(gradient[key].value, truth[key].value) for key in self.keys}
        known = (key for key in self.keys if self._resolved(truth[key]))
        return [key for key in known if not SMALLEST <= ratios[key] <= LARGEST]

    def _resolved(self, truth: Estimate) -> bool:
        return abs(truth.value) > FAINT * truth.error

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        truth, gradient = self.truth, self.gradient
        for key in self.keys:
            ratio = f"{_ratio(gradient[key].value, truth[key].value):.3g}"
            known = "" if self._resolved(truth[key]) else " (truth lost in noise)"
            yield key, str(truth[key]), str(gradient[key]), ratio + known

    @property
    def _finite(self) -> bool:
        return bool(np.isfinite(self.gradients).all())

    @property
    def _length(self) -> float:
        """Norm of the truth."""
        return _norm(np.array([e.value for e in self.truth.values()]))

    @property
    def _noise(self) -> float:
        """Standard error of the truth, all parameters together."""
        return _norm(np.array([e.error for e in self.truth.values()]))

    @property
    def _faint(self) -> bool:
        return self._length <= FAINT * self._noise

    @property
    def _vague(self) -> bool:
        """Whether cosine or size are hardly known."""
        return self.cosine.error > VAGUE or self.size.error > self.size.value / 2

    @property
    def _far(self) -> bool:
        """Whether the gradient is many times as large as the truth can be."""
        gradient = _norm(np.array([e.value for e in self.gradient.values()]))
        most = self._length + FAINT * self._noise
        return gradient > FAR * most > 0

    @property
    def _near(self) -> bool:
        """Whether cosine and size may be within their limits, for all that their errors say."""
        cosine, size = self.cosine, self.size
        low, high = size.value - 2 * size.error, size.value + 2 * size.error
        return cosine.value + 2 * cosine.error >= COSINE and high >= SMALLEST and low <= LARGEST

    def _each(self, what: Callable[[Any, Any], Any]) -> dict[str, Estimate]:
        values, errors = self._jackknife(what)
        pairs = zip(self.keys, values.tolist(), errors.tolist(), strict=True)
        return {key: Estimate(value, error) for key, value, error in pairs}

    def _jackknife(self, what: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
        """A function of the means of truth and gradient, and its standard error over blocks."""
        counts = np.array(self.weights, dtype=float)[:, None]
        with np.errstate(all="ignore"):  # a gradient may be anything
            sums = [counts * x for x in (self.truths, self.gradients)]
            whole = what(*(x.sum(0) / counts.sum() for x in sums))
            rest = [(x.sum(0) - x) / (counts.sum() - counts) for x in sums]
            left_out = np.array([what(t, g) for t, g in zip(*rest, strict=True)])
            n, spread = len(left_out), left_out - left_out.mean(0)
            return whole, np.sqrt((n - 1) / n * np.square(spread).sum(0))


def _norm(x: Float[np.ndarray, " parameter"]) -> float:
    """Length of a vector, however large its elements."""
    largest = float(np.abs(x).max(initial=0.0))
    if not 0 < largest < np.inf:
        return largest
    return largest * float(np.linalg.norm(x / largest))


def _ratio(a: float, b: float) -> float:
    return float(np.divide(a, b)) if b else float("nan")


def _cosine(a: Float[np.ndarray, " parameter"], b: Float[np.ndarray, " parameter"]) -> float:
    return _ratio(float((a / (_norm(a) or 1.0)) @ b), _norm(b))


def _plain(estimate: Estimate) -> dict[str, float | None]:
    """JSON knows neither nan nor infinity."""
    found = {"value": estimate.value, "error": estimate.error}
    return {name: x if np.isfinite(x) else None for name, x in found.items()}
