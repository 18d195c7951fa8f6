"""fit_recording: find the parameters with which a model explains recorded spikes and traces."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, GradientError, NumericalError, ShapeError
from mirrorneuron.units import quantity

from ..learning import BPTT, Task, Trial, fit
from ..learning.arguments import require_seed, require_steps
from ..learning.window import part_steps
from ..losses._target import HERTZ, plain, positive, time
from ..mirror import Mirror
from ..parameter import Positive
from ..recording import SECOND
from .data import ASKED, Data, read_data
from .escape import Escape
from .teacher_forcing import Misfit, State, size_of, states_at
from .windows import Windows, require_timeless

PATIENCE = 4  # steps without a better loss, after which a start has nowhere to go
MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]


@dataclass(frozen=True)
class Restart:
    """What one start of the fit came to.

    Arguments:
        start, values: Parameters before and after, by key: Quantities.
        loss: What was minimised; infinite where the fit broke down.
        log_likelihood: Of the recorded spikes, per spike.
        error: Mean squared error of the trace as a share of its variance; NaN without a trace.
        held_out: The loss on the part of the recording that was held out; NaN where none was.
        escape: Noise of the threshold: width in the unit of the margin, rate in Hz.
        unexplained: Recorded spikes that came while the model is refractory; they count nowhere.
        losses: Loss of each step.
        simulated: Seconds of the model's time that were simulated.
        failure: Why the fit broke down, or "".
    """

    start: Mapping[str, Any]
    values: Mapping[str, Any]
    loss: float
    log_likelihood: float = np.nan
    error: float = np.nan
    held_out: float = np.nan
    escape: Escape | None = None
    unexplained: int = 0
    losses: Sequence[float] = ()
    simulated: float = 0.0
    failure: str = ""


@checked
@dataclass(frozen=True)
class RecordingFit:
    """What a fit of a recording gave; `print` shows a table.

    Arguments:
        restarts: One for each start.
        model: Holds the parameters of the best.
    """

    restarts: Sequence[Restart]
    model: Mirror = field(repr=False)

    @property
    def best(self) -> Restart:
        """That with the least loss on what was held out, or else on all."""
        return min(self.restarts, key=_rank)

    def use(self, number: int) -> None:
        """Give the model the parameters of one restart."""
        _set(self.model, self.restarts[number].values)

    @property
    def table(self) -> list[dict[str, Any]]:
        """A row for each restart, as `pandas.DataFrame` takes it; parameters in SI units."""
        return [self._row(k, restart) for k, restart in enumerate(self.restarts)]

    def _row(self, number: int, restart: Restart) -> dict[str, Any]:
        found: dict[str, Any] = {
            "start": number,
            "loss": restart.loss,
            "log-likelihood": restart.log_likelihood,
            "error": restart.error,
            "held out": restart.held_out,
            "simulated [s]": restart.simulated,
        }
        for key, value in restart.values.items():
            unit = self.model.unit(key)
            found[f"{key} [{unit}]"] = float(np.mean(plain(value, unit, key)))
        return found

    def __str__(self) -> str:
        rows = self.table
        shown = [n for n, x in rows[0].items() if not _missing(rows, n) or isinstance(x, int)]
        lines = [["", *shown]]
        for row, restart in zip(rows, self.restarts, strict=True):
            mark = "*" if restart is self.best else ""
            lines.append([mark, *(f"{row[name]:.4g}" for name in shown)])
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        text = ["  ".join(c.rjust(w) for c, w in zip(r, widths, strict=True)) for r in lines]
        broken = [f"start {k}: {r.failure}" for k, r in enumerate(self.restarts) if r.failure]
        return "\n".join([*text, *broken, "* the best, whose values the model holds"])


def _missing(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return all(np.isnan(row[name]) for row in rows)


def _rank(restart: Restart) -> float:
    found = restart.loss if np.isnan(restart.held_out) else restart.held_out
    return found if isfinite(found) else inf


@checked
def fit_recording(
    model: Mirror,
    input: Mapping[str, Any] | Any = None,
    spikes: Any = None,
    voltage: Any = None,
    nudge: Any = "auto",
    window: Any = None,
    warm_up: Any = None,
    skip: Any = None,
    escape: tuple[Any, Any] | Any = None,
    after_spike: Any = None,
    weight: float = 1.0,
    pull: float = 0.0,
    restarts: int = 5,
    starts: Sequence[Mapping[str, Any]] | Any = None,
    spread: float = 0.3,
    holdout: float = 0.0,
    steps: int | Any = 20,
    optimizer: MakeOptimizer | None = None,
    state: State | None = None,
    checkpoint: str | Path | None = None,
    report: Literal["text"] | None = "text",
    seed: int | Any = 0,
) -> RecordingFit:
    r"""Fit a model to recorded spikes and, where there is one, a recorded trace.

    $L = -\frac{1}{n} \log P(\text{spikes}) + \lambda \log(\epsilon^2/\sigma^2)$

    The recorded spikes are imposed on the model: it is reset when the neuron was (teacher forcing).
    They are the more probable the closer it stands to threshold then, and the farther from it when
    there was none: the escape rate is $\rho = \rho_0 e^{m/w}$ at the margin m, and in a step a
    spike has the probability $1 - e^{-\rho \Delta t}$. $\epsilon^2$ is the mean squared error of
    the trace, $\sigma^2$ its variance. The gradient is exact, no surrogate is needed: also where w
    and $\rho_0$ are not given, but those with which the spikes are most probable in each evaluation
    (with a weak prior, or spikes that a margin explains without a mistake would have no width).

    The model has to have one spiking group with a recording, whose threshold is one comparison. It
    is left with the best parameters; `model.write_back()` puts them into Brian2.

    Arguments:
        model: Mirror of the network, with what is to be fitted as its parameters.
        input: What was applied, as the inputs of a run, `{"cells.I": current}`: "time neuron", or
            "time batch neuron" for several recordings.
        spikes: Recorded spikes: a SpikeMonitor, a pair (i, t), the times of one neuron (Quantities
            [s]), `{neuron: times}`, a list of such for several recordings, or zeros and ones, "time
            neuron"; `{"cells": spikes}` where several groups have a threshold.
        voltage: Recorded trace at the start of each step, of the variable `v` of the group: a
            StateMonitor, or a Quantity "time neuron" (`monitor.v.T`), "time batch neuron", or
            "time" of one neuron; `{"cells.u": trace}` for another variable.
        nudge: Time constant of a pull of the variable towards its trace [s]: by default 1 ms where
            there is a trace. Without (None), a model with an upswing runs away as soon as it comes
            too early. The error is that of the model over this time.
        window: Length of the windows that are run side by side [s], which is many times faster
            than one long run beyond a few thousand steps: 50 to 200 ms serve most neurons. The
            gradient does not go back beyond the warm-up of a window, and the equations must not
            read the time: what changes in it is an input. None runs the whole recording at once.
        warm_up: How long each window runs before it counts [s], by default as long as it counts.
        skip: Beginning of the recording that does not count [s].
        escape: Noise of the threshold: width $w$ in the unit of the margin, and rate at threshold
            $\rho_0$ [Hz].
        after_spike: How long after each spike the trace is not compared [s], by default 2 ms.
        weight: $\lambda$.
        pull: Weight of the squared distance of the parameters from where the model has them now: of
            their logarithms where positive, else in units of their size.
        restarts: Number of starts: the first from where the model is, the others scattered.
        starts: Where to start instead, each some parameters by key, Quantities.
        spread: Standard deviation of the logarithms of scattered starts, or in units of the size.
        holdout: Share of the recording, at its end, by which the best restart is chosen.
        steps: Steps of the optimiser; fewer where it comes to nothing better in four of them.
        optimizer: Makes a torch optimiser from the list of parameters, which are of size one; by
            default L-BFGS, five iterations a step.
        state: Of the network at the start of the recording, by default its own.
        checkpoint: Folder for checkpoints, one for each restart, from which a fit goes on.
        report: "text" shows progress.
        seed: Of the scattered starts.

    Returns:
        The restarts with their parameters, as a table.

    Raises:
        GradientError: The model has no parameters, or the fit broke down from every start.
        DomainError: Nothing says how long the recording is; the threshold is no single comparison;
            there are no spikes, or two in one step; a window cannot be cut; a setting is not what
            it has to be.
        CheckpointError: The folder holds a fit of another recording, or with other settings.
        ShapeError, UnitError, UnknownName: As for a run, and for the losses.

    Source: escape rates: Jolivet, Rauch, Luescher & Gerstner 2006, doi:10.1007/s10827-006-7074-5;
        the likelihood: Pillow et al. 2005, doi:10.1523/JNEUROSCI.3305-05.2005; spikes and voltage
        together: Mensi et al. 2012, doi:10.1152/jn.00408.2011.
    Differs from them: the model is any Brian2 equations, and all parameters follow the gradient.
    """
    require_seed("fit_recording", seed)
    require_steps("fit_recording", steps)
    _require_shares(weight, pull, spread, holdout)
    data = read_data(model, {} if input is None else input, spikes, voltage, nudge, after_spike)
    counts = _counts(data, skip, holdout)
    fitter = _Fitter(
        data,
        _windows(data, round(data.steps * (1 - holdout)), window, warm_up),
        counts,
        _escape(model, data, escape),
        weight if data.variable is not None else 0.0,
        pull,
        _values(model),
        state,
        steps,
        optimizer,
        report,
    )
    given = _scatter(model, restarts, spread, seed) if starts is None else _given(model, starts)
    made: list[Restart] = []
    for k, start in enumerate(given):
        folder = None if checkpoint is None else Path(checkpoint) / f"start_{k}"
        made.append(fitter.run(start, folder, seed + k))
    found = RecordingFit(made, model)
    if not isfinite(_rank(found.best)):
        raise GradientError(
            f"{ASKED}: the fit broke down from every start. {made[0].failure} A model with an"
            " upstroke runs away where it starts before the recorded spike does: bound its"
            " exponential, exp(clip((v - VT)/DT, -50, 6)), and fit in double precision,"
            " mirror(..., dtype=torch.float64)."
        )
    _set(model, found.best.values)
    if found.best.unexplained:
        warnings.warn(
            f"{ASKED}: {found.best.unexplained} of the recorded spikes come while the model is"
            " refractory, so that no parameters explain them. They were left out. Give the group a"
            " shorter refractory period.",
            UserWarning,
            stacklevel=2,
        )
    return found


def _search(parameters: list[nn.Parameter]) -> Optimizer:
    """The usual optimiser, which finds a good step by itself."""
    return LBFGS(parameters, max_iter=5, max_eval=10, line_search_fn="strong_wolfe")


class _Counts(NamedTuple):
    """Steps that are fitted, and those that are held out, "time batch neuron"."""

    fitted: Tensor
    held_out: Tensor


@dataclass(frozen=True)
class _Fitter:
    """Fits from one start after the other; see `fit_recording`."""

    data: Data
    windows: Windows
    counts: _Counts
    escape: Escape | None
    weight: float
    pull: float
    centre: Mapping[str, Tensor]
    state: State | None
    steps: int
    optimizer: MakeOptimizer | None
    report: Literal["text"] | None

    def run(self, start: Mapping[str, Any], checkpoint: Path | None, seed: int) -> Restart:
        """Fit from one start."""
        model = self.data.model
        _set(
            model,
            {key: quantity(x.cpu().numpy(), model.unit(key)) for key, x in self.centre.items()},
        )
        _set(model, start)
        before = _quantities(model)
        loss = replace(self._misfit(self.windows, self.counts.fitted), begun=_words(before))
        length = quantity(self.windows.length * self.data.dt, SECOND)
        try:
            done = fit(
                model, Task(length, loss, self._trial), BPTT(), self.optimizer or _search,
                steps=self.steps, checkpoint=checkpoint, report=self.report, seed=seed,
                patience=PATIENCE,
            )  # fmt: skip
        except (DomainError, GradientError, NumericalError) as error:
            return Restart(before, _quantities(model), inf, failure=str(error))
        return self._judged(before, done.losses, sum(loss.seen) + self._passes(len(done.losses)))

    def _misfit(self, windows: Windows, counted: Tensor) -> Misfit:
        return Misfit(self.data, windows, counted, self.escape, self.weight, self.pull, self.centre)

    def _trial(self, step: int) -> Trial:
        """All windows side by side, with states that belong to the present parameters."""
        data, windows = self.data, self.windows
        parts = {key: windows.cut(x) for key, x in data.series.items()}
        start = self.state if self.whole else states_at(data, windows.starts, self.state)
        return Trial(
            data.forced(parts), batch_size=data.spikes.shape[1] * len(windows.starts), state=start
        )

    @property
    def whole(self) -> bool:
        """Whether the recording is run as one."""
        return len(self.windows.starts) == 1

    def _passes(self, steps: int) -> float:
        """Seconds simulated to find where windows start."""
        each = 0 if self.whole else self.windows.starts[-1]
        return steps * each * self.data.dt * self.data.spikes.shape[1]

    @torch.no_grad()
    def _judged(
        self, before: Mapping[str, Any], losses: Sequence[float], simulated: float
    ) -> Restart:
        """What came out, by one run of the whole recording."""
        data = self.data
        whole = Windows(data.steps, data.steps, 0)
        fitted, held_out = (self._misfit(whole, counted) for counted in self.counts)
        recording = data.model.run_steps(
            data.steps, data.forced(data.series), state=self.state, record=fitted.record
        )
        surprise, escape = fitted.surprise(recording)
        return Restart(
            before,
            _quantities(data.model),
            float(fitted(recording, Trial())),
            -float(surprise),
            float(fitted.share(recording)) if data.variable is not None else np.nan,
            float(held_out(recording, Trial())) if bool(self.counts.held_out.any()) else np.nan,
            escape,
            int((data.spikes * torch.isinf(recording[data.key])).sum()),
            tuple(losses),
            simulated,
        )


# ---- settings


def _require_shares(weight: float, pull: float, spread: float, holdout: float) -> None:
    """Refuse numbers that would turn a misfit into a merit, or are none.

    Raises:
        DomainError: One is negative or not finite.
    """
    for name, value, usual in (
        ("weight", weight, 1.0), ("pull", pull, 0.0), ("spread", spread, 0.3),
        ("holdout", holdout, 0.2),
    ):  # fmt: skip
        if not 0 <= value < inf:
            raise DomainError(
                f"fit_recording({name}={value}): that is a finite number of at least 0. Write, say,"
                f" {name}={usual:g}."
            )


def _given(model: Mirror, starts: Any) -> list[Mapping[str, Any]]:
    """Starts that were named, checked before the first fit.

    Raises:
        DomainError: They are no list of mappings.
        ShapeError: A value has another shape than its parameter.
    """
    several = isinstance(starts, list | tuple) and len(cast(Sequence[Any], starts)) > 0
    if not several or not all(isinstance(x, Mapping) for x in cast(Sequence[Any], starts)):
        raise DomainError(
            f"fit_recording(starts={starts!r}): starts are a list of mappings from parameters to"
            " values, one for each start. Write starts=[{'cells.tau': 10*ms}]."
        )
    found = list(cast(Sequence[Mapping[str, Any]], starts))
    for k, start in enumerate(found):
        for key, value in start.items():
            shape, given = tuple(model.parameter(key).shape), np.shape(value)
            if given not in ((), (1,), shape):
                raise ShapeError(
                    f"fit_recording(starts=...): start {k} has {key} with the shape {given}, but"
                    f" the parameter has {shape}. Give one value, or one for each element."
                )
    return found


def _words(values: Mapping[str, Any]) -> str:
    """Values with all their digits, as text."""
    return "; ".join(f"{key} = {np.asarray(x).tolist()}" for key, x in sorted(values.items()))


def _windows(data: Data, total: int, window: Any, warm_up: Any) -> Windows:
    if window is None:
        return Windows(total, total, 0)
    require_timeless(data.model.program, data.inputs, f"fit_recording(window={window})")
    counted = part_steps(data.model, total, "fit_recording", "window", window)
    before = counted
    if warm_up is not None:
        before = round(time(warm_up, f"{ASKED}: warm_up") / data.dt)
    return Windows(total, counted, before)


def _counts(data: Data, skip: Any, holdout: float) -> _Counts:
    first = 0 if skip is None else round(time(skip, f"{ASKED}: skip") / data.dt)
    last = round(data.steps * (1 - holdout))
    step = torch.arange(data.steps, device=data.spikes.device)[:, None, None]
    fitted = ((step >= first) & (step < last)).expand_as(data.spikes)
    held_out = (step >= max(first, last)).expand_as(data.spikes)
    if not 0 <= holdout < 1 or not (data.spikes * fitted).sum():
        raise DomainError(
            f"fit_recording(skip={skip}, holdout={holdout}): nothing is left to fit: the part that"
            " counts holds no spike. Write a shorter skip, and a holdout from 0 to below 1, such as"
            " 0.2 for the last fifth."
        )
    return _Counts(fitted, held_out)


def _escape(model: Mirror, data: Data, given: Any) -> Escape | None:
    if given is None:
        return None
    if not isinstance(given, tuple | list) or len(cast(Sequence[Any], given)) != 2:
        raise DomainError(
            f"fit_recording(escape={given!r}): the noise of the threshold is a pair of a width and"
            " a rate. Write, say, escape=(1*mV, 10*Hz), or None for the likeliest."
        )
    width, rate = cast(Sequence[Any], given)
    unit = model.unit(data.key)
    return Escape(
        positive(width, unit, f"{ASKED}: the width of escape"),
        positive(rate, HERTZ, f"{ASKED}: the rate of escape"),
    )


def _scatter(model: Mirror, number: int, spread: float, seed: int) -> Iterator[dict[str, Any]]:
    """Starts: where the model is, and others around it."""
    if number < 1 or number % 1:
        raise DomainError(
            f"fit_recording(restarts={number}): there is no start to fit from. Write 1 or more."
        )
    rng, centre = np.random.default_rng(seed), _values(model)
    yield {}
    for _ in range(number - 1):
        made: dict[str, Any] = {}
        for key, x in centre.items():
            noise = spread * torch.from_numpy(rng.normal(size=tuple(x.shape))).to(x)
            logarithmic = isinstance(model.limits[key], Positive)
            moved = x * noise.exp() if logarithmic else x + noise * size_of(x)
            made[key] = quantity(moved.cpu().numpy(), model.unit(key))
        yield made


# ---- parameters


def _values(model: Mirror) -> dict[str, Tensor]:
    """All parameters as they are, in SI units."""
    return {key: model.parameter(key).detach().clone() for key in model.limits}


def _quantities(model: Mirror) -> dict[str, Any]:
    return {k: quantity(x.cpu().double().numpy(), model.unit(k)) for k, x in _values(model).items()}


@torch.no_grad()
def _set(model: Mirror, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        parameter = model.parameter(key)
        array = plain(value, model.unit(key), f"{ASKED}: the start of {key}")
        parameter.copy_(torch.from_numpy(np.array(array)).to(parameter).expand_as(parameter))
