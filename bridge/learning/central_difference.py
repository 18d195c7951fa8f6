r"""check_gradient: can the gradient of a network be trusted?

The gradient of a spiking network is made with surrogates: it is no derivative of anything that the
network does. What the network does is seen by changing a parameter a little and running it again.
Both are compared in the unit that makes parameters comparable, the change of the loss by the
logarithm of the parameter, $a \, dL/da$.

Source: differences under common random numbers, Glasserman & Yao 1992, doi:10.1287/mnsc.38.6.884.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron._progress import progress_bar
from mirrorneuron.errors import DomainError, GradientError, UnknownName
from mirrorneuron.units import Dimensions, si

from ..mirror import Mirror
from ..recording import Recording
from ._contracts import Task, Trial
from .arguments import require_seed
from .ensemble import Ensemble
from .gradient_check import GradientCheck

SPREAD = (0.6, 0.8, 1.0, 1.2, 1.4)
MEMORY = 1e9  # of what runs at once [byte]
Statistic = Callable[[Recording], Tensor]


@checked
def check_gradient(
    model: Mirror,
    loss: Task | Statistic | Any,
    duration: Any = None,
    *,
    parameters: Sequence[str] | None = None,
    inputs: Mapping[str, Any] | None = None,
    record: Sequence[str] = (),
    trials: int = 16,
    step: float | Sequence[float] | Any = 0.05,
    blocks: int = 8,
    seed: int = 0,
    report: Literal["text"] | None = "text",
) -> GradientCheck:
    r"""Compare the gradient of a loss with what happens when each parameter is changed.

    $a \, dL/da \approx \frac{L((1 + h) a) - L((1 - h) a)}{2 h}$

    Arguments:
        model: Its parameters are as before afterwards, and so are their gradients. Limits do not
            hold during the check: a parameter at its border is changed to both sides, too.
        loss: A task, or any function of a recording that gives a scalar, such as
            `lambda r: r.population_rate("cells").mean()`; then a `duration` is needed.
        duration: Of a trial, a Quantity [s]; a task says it itself.
        parameters: Which ones to check, by default all. Each costs two runs of all trials.
        inputs, record: As in `Mirror.run`, where `loss` is no task.
        trials: Number of trials. Trial k draws what Brian2 draws after `brian2.seed(seed + k)`,
            on both sides of a difference and for the gradient.
        step: Relative size of the change, $h$, or several over which to average. Where all trials
            are equal, as nothing is random, five sizes around it take their place.
        blocks: Into how many parts the trials are divided for the standard errors.
        seed: Of the first trial.
        report: "text" shows progress.

    Returns:
        Both, with standard errors, cosine, size and a verdict: print it.

    Raises:
        GradientError: The model has no parameters; the loss is no scalar, not finite, or depends
            on none of them.
        UnknownName: A parameter is not trained.
        UnitError: The step has a unit.
        DomainError: The step, the trials or the duration are out of range, or a parameter is
            zero, so that no relative step changes it.
        NumericalError: The network leaves the range of its integrator at a changed parameter.
    """
    task = _task(loss, duration, inputs, record)
    keys = _keys(model, parameters)
    sizes = _steps(step)
    _require_trials(trials, blocks)
    require_seed("check_gradient", seed)
    ensemble = Ensemble.of(model, task, trials, seed)
    with _undone(model):
        found = _losses(ensemble)
        _require_finite(found)
        if bool((found == found[0]).all()) and not ensemble.by_chance():
            ensemble = ensemble.part(0, 1)
            sizes = tuple(h * x for h in sizes for x in SPREAD) if len(sizes) == 1 else sizes
        return _compare(ensemble, keys, sizes, blocks, float(found.mean()), report)


def _compare(
    ensemble: Ensemble,
    keys: tuple[str, ...],
    steps: tuple[float, ...],
    blocks: int,
    loss: float,
    report: str | None,
) -> GradientCheck:
    model, total = ensemble.model, len(ensemble)
    edges = np.linspace(0, total, min(blocks, total) + 1).round().astype(int).tolist()
    parts = list(pairwise(edges))
    runs = len(parts) + 2 * len(keys) * len(steps)
    with progress_bar(
        total=runs, shown=report is not None, desc="check_gradient", unit="run"
    ) as progress:
        gradients = [_gradient(ensemble.part(*part), keys, progress) for part in parts]
        truths = [[_difference(ensemble, key, h, progress) for h in steps] for key in keys]
    by_step = np.array(truths)  # parameter, step, trial
    if total == 1:
        rows, gradients, counts = by_step[:, :, 0].T, gradients * len(steps), [1] * len(steps)
    else:
        by_trial = by_step.mean(1).T
        rows, counts = (
            np.array([by_trial[a:b].mean(0) for a, b in parts]),
            [b - a for a, b in parts],
        )
    return GradientCheck(
        keys, rows, np.array(gradients), tuple(counts), total, steps, loss,
        model.steps(ensemble.task.duration) * model.program.dt,
    )  # fmt: skip


@torch.enable_grad()
def _gradient(ensemble: Ensemble, keys: Sequence[str], progress: Any) -> list[float]:
    """Derivative of the mean loss by the logarithm of each parameter.

    Raises:
        GradientError: The loss depends on none.
    """
    model, length = ensemble.model, ensemble.at_once(MEMORY, gradient=True)
    for parameter in model.parameters():
        parameter.grad = None
    for part in ensemble.parts(length):
        loss = part.losses().sum() / len(ensemble)
        if not loss.requires_grad:
            raise GradientError(
                "check_gradient(model, ...): the loss does not depend on any parameter, so that it"
                " has no gradient. Check that it reads what the trained variables influence, and"
                " that it is made of the recording's tensors without .detach() or .item()."
            )
        loss.backward()
    progress.update()
    return [_along(model.parameter(key)) for key in keys]


def _along(parameter: Tensor) -> float:
    gradient = parameter.grad
    return 0.0 if gradient is None else float((gradient * parameter.detach()).sum())


@torch.no_grad()
def _difference(
    ensemble: Ensemble, key: str, step: float, progress: Any
) -> Float[np.ndarray, " trial"]:
    """Central difference of each trial's loss by the logarithm of one parameter."""
    parameter = ensemble.model.parameter(key)
    start = parameter.detach().clone()
    sides: list[Tensor] = []
    for factor in (1 + step, 1 - step):
        parameter.copy_(start * factor)
        sides.append(_losses(ensemble))
        progress.update()
    parameter.copy_(start)
    return ((sides[0] - sides[1]) / (2 * step)).double().cpu().numpy()


@torch.no_grad()
def _losses(ensemble: Ensemble) -> Tensor:
    parts = ensemble.parts(ensemble.at_once(MEMORY, gradient=False))
    return torch.cat([part.losses() for part in parts])


@contextmanager
def _undone(model: Mirror) -> Generator[None]:
    """Give parameters and their gradients back as they were; meanwhile they have no limits."""
    with ExitStack() as stack:
        for held in model.trained.values():
            stack.enter_context(held.lent())
        yield


def _require_finite(losses: Tensor) -> None:
    wrong = torch.nonzero(~torch.isfinite(losses)).flatten().tolist()
    if wrong:
        raise GradientError(
            f"check_gradient(model, ...): the loss of trial {wrong[0]} is"
            f" {float(losses[wrong[0]])}, and there are no differences of that. Check that the"
            " trial has a step, and that the loss divides by nothing that may be zero."
        )


def _task(
    loss: Any, duration: Any, inputs: Mapping[str, Any] | None, record: Sequence[str]
) -> Task:
    """A task; a statistic becomes the loss of one."""
    if isinstance(loss, Task):
        if duration is not None or inputs is not None or record:
            raise DomainError(
                "check_gradient(model, task, ...): duration, inputs and record were given beside a"
                " task, which says them itself. Leave them out, or give the statistic alone."
            )
        return loss
    if not callable(loss) or duration is None:
        raise DomainError(
            f"check_gradient(model, loss={loss!r}, duration={duration}): needed is a task, or a"
            " function of a recording and how long to run. Write check_gradient(model,"
            " lambda r: r.population_rate('cells').mean(), 200*ms)."
        )
    trial = Trial(inputs=inputs or {})
    statistic = cast(Statistic, loss)
    return Task(duration, lambda recording, _: statistic(recording), lambda _: trial, record)


def _keys(model: Mirror, wanted: Sequence[str] | None) -> tuple[str, ...]:
    if not model.limits:
        raise GradientError(
            "check_gradient(model, ...): the model has no parameters. Name what to train:"
            " mirror(net, train=['ee.w'])."
        )
    if isinstance(wanted, str):
        raise DomainError(
            f"check_gradient(parameters={wanted!r}): that is one name, where a list of names is"
            f" needed. Write parameters=[{wanted!r}]."
        )
    if wanted is not None and not wanted:
        raise DomainError(
            "check_gradient(parameters=[]): there is nothing to check. Name parameters, or leave"
            " it out for all of them."
        )
    for key in wanted or ():
        if key not in model.limits:
            raise UnknownName.among(f"check_gradient(parameters=[{key!r}])", key, model.limits)
    keys = tuple(wanted or model.limits)
    zero = [key for key in keys if not bool(model.parameter(key).detach().any())]
    if zero:
        rest = [key for key in keys if key not in zero]
        raise DomainError(
            f"check_gradient(model, ...): {', '.join(zero)} {'is' if len(zero) == 1 else 'are'}"
            " zero, and a step of some percent of zero changes nothing. Start from another value,"
            f" or leave it out: parameters={rest}."
        )
    return keys


def _steps(step: Any) -> tuple[float, ...]:
    found = si(step, Dimensions(), "check_gradient(step=...): the step")
    steps = tuple(np.ravel(found).tolist())
    if found.ndim > 1 or not steps or not all(0 < h < 1 for h in steps):
        raise DomainError(
            f"check_gradient(step={step}): a step is a share of the parameter, more than 0 and less"
            " than 1. Write, say, step=0.05."
        )
    return steps


def _require_trials(trials: int, blocks: int) -> None:
    if min(trials, blocks) < 2:
        raise DomainError(
            f"check_gradient(trials={trials}, blocks={blocks}): there is no standard error from one"
            " trial or block alone. Give at least 2."
        )
