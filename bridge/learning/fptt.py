r"""Forward propagation through time: learn in each window of a trial, before the next one begins.

The gradient of a window's loss $\ell_t$ does not pass to the window before, so that memory is that
of one window, however long the trial. What it misses of the past is made up for by a regulariser
that moves with the parameters $W$: their average $\bar W$ and an estimate $\lambda$ of the
gradient at the newest parameters. With the coded form,

$g = \nabla [\ell_t(W) - \langle W, \lambda \rangle + \frac{\mu\alpha}{2} |W - \bar W|^2]$,
the optimiser's step on $g$, then
$\lambda \leftarrow \lambda - \alpha (W - \bar W)$ and
$\bar W \leftarrow (1 - \beta) \bar W + \beta W - \frac{\beta}{\alpha} \lambda$.

The printed form penalises $\frac{\alpha}{2} |W - \bar W - \frac{1}{2\alpha} \nabla
\ell_{t-1}(W_t)|^2$, where that gradient is computed by a second run of the window. In the symbols
above: $\lambda = \nabla \ell_t(W_{t+1})$, with half its weight in $g$; $\mu = 1$, $\beta = 1/2$.
In a minimum of $g$ with $\mu = 1$ the coded $\lambda$ is this very gradient.

Source: Kag & Saligrama 2021, PMLR 139:5189-5200, the algorithm FPTT, and their code
(github.com/anilkagak2/FPTT), which is the coded form; for spiking networks Yin, Corradi & Bohté
2023, doi:10.1038/s42256-023-00650-4.
Differs from it: $W$ are the optimised values of `Mirror.parameters`, which are of size one, so that
$\alpha$ does not depend on units; positive parameters are averaged as logarithms.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, GradientError, UnknownName

from ..mirror import Mirror
from ..recording import Recording
from ..spikes import detach
from ._contracts import Outcome, Rule, Task, Trial
from .window import TrialRun, TrialSummary, edges, part_steps

FORMS = ("coded", "printed")
Number = int | float


class FPTTState(NamedTuple):
    """What the regulariser knows, by the name of the parameter, of its optimised value.

    Arguments:
        average: Running average of a parameter, $\\bar W$.
        dual: Estimate of the gradient at the newest parameter, $\\lambda$.
        trials: Trials so far.
    """

    average: Mapping[str, Tensor]
    dual: Mapping[str, Tensor]
    trials: int


@dataclass(frozen=True, kw_only=True)
class Forward(Rule[FPTTState]):
    r"""What FPTT and FPTT-K share: everything but how a trial is cut.

    Arguments:
        alpha: Strength of the regulariser, $\alpha$ [1 for a loss of size 1]; 0 leaves it out,
            which is truncated backpropagation with an update in each window.
        beta: Weight of the newest parameters in their average, $\beta$ [1].
        mu: Additional weight of the penalty, $\mu$ [1].
        form: "coded" or "printed", which takes a second run of each window.
        look_ahead: How far the run of a window goes on beyond its end, a Quantity [s], with the
            loss of that part added to what is minimised; the next window starts at the end of
            the window all the same. None does not look ahead.
        average: Whether the parameters take the value of their average at the end of an epoch,
            $W \leftarrow \bar W$.
        restart: Whether the regulariser starts anew there, $\bar W \leftarrow W$ and
            $\lambda \leftarrow 0$.
        epoch: Trials in an epoch.

    Published choices: Kag & Saligrama's code, alpha=0.1 (image sequences), average=True,
    restart=True, epoch=the batches of a pass through the data; Yin et al.'s, alpha=0.1 to 0.5,
    average=True; as printed, form="printed", restart=True. They are for weights and losses of
    their own size: tune alpha with the scale of the loss.
    """

    alpha: Number = 0.1
    beta: Number = 0.5
    mu: Number = 1.0
    form: Literal["coded", "printed"] | str = "coded"
    look_ahead: Any = None
    average: bool = False
    restart: bool = False
    epoch: Number = 1

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.form not in FORMS:
            raise UnknownName.among(f"{name}(form={self.form!r})", self.form, FORMS)
        if not 0 <= self.alpha < float("inf"):
            raise DomainError(
                f"{name}(alpha={self.alpha}): the strength of the regulariser is negative or not"
                " finite, so that it would push parameters away from their average. Write, say,"
                " alpha=0.1, or 0 for none."
            )
        if not 0 < self.beta <= 1:
            raise DomainError(
                f"{name}(beta={self.beta}): the weight of the newest parameters in their average"
                " is a share. Write a number above 0 and up to 1, say, beta=0.5."
            )
        if not 0 <= self.mu < float("inf"):
            raise DomainError(
                f"{name}(mu={self.mu}): the weight of the penalty is negative or not finite, so"
                " that it would push parameters away from their average. Write, say, mu=1."
            )
        if self.epoch < 1 or self.epoch % 1:
            raise DomainError(
                f"{name}(epoch={self.epoch}): an epoch is a number of trials, at least one."
                " Write, say, epoch=1."
            )

    @property
    def online(self) -> bool:
        """Parameters change after each window."""
        return True

    @abstractmethod
    def edges(self, model: Mirror, total: int) -> Sequence[int]:
        """Steps at which windows begin, from 0, and the end of the trial."""

    def init(self, model: Mirror) -> FPTTState:
        """The average is the parameters, the gradient is zero."""
        return FPTTState(_parameters(model), _zeros(model), 0)

    def step(
        self,
        state: FPTTState,
        model: Mirror,
        task: Task,
        trial: Trial,
        seed: int,
        update: Callable[[], bool],
    ) -> tuple[Outcome, FPTTState]:
        """See `Rule.step`."""
        task.require_windows(f"{type(self).__name__}(...)")
        trial_run = TrialRun(model, task, trial, seed)
        cuts, ahead = self.edges(model, trial_run.steps), self._ahead(model, trial_run.steps)
        summary, now = TrialSummary(trial_run.steps), None
        for start, stop in pairwise(cuts):
            window = _Window(trial_run, start, stop, min(stop + ahead, trial_run.steps), now)
            recording, part, goal = window.run()
            if goal.requires_grad:
                goal.backward()
                summary.reached = True
            if goal.requires_grad or self.alpha > 0:
                self._regularise(model, state)
                if update():
                    state = self._follow(model, state, window)
            summary.add(part, recording)
            now = detach(recording.state)
            del window, recording, part, goal  # or two windows would be held at a time
        if not summary.reached:
            raise GradientError(
                f"fit(model, ..., rule={type(self).__name__}(...)): the loss of no window depends"
                " on a parameter. A recorded variable holds its values at the start of each step,"
                " so that a window of one step shows nothing of what the parameters did in it."
                " Check that the loss reads what the trained variables influence; write a longer"
                " window, or look_ahead=..., or read recording.state, which holds the end."
            )
        return summary.outcome, self._finish(model, state._replace(trials=state.trials + 1))

    def _ahead(self, model: Mirror, total: int) -> int:
        if self.look_ahead is None:
            return 0
        return part_steps(model, total, type(self).__name__, "look_ahead", self.look_ahead)

    # ---- the regulariser

    @torch.no_grad()
    def _regularise(self, model: Mirror, state: FPTTState) -> None:
        r"""Add $\mu\alpha (W - \bar W) - \lambda$ to the gradients (printed: half of $\lambda$)."""
        if self.alpha == 0:
            return
        share = 0.5 if self.form == "printed" else 1.0
        for key, w in model.named_parameters():
            slope = self.mu * self.alpha * (w - state.average[key]) - share * state.dual[key]
            w.grad = slope if w.grad is None else w.grad + slope

    @torch.no_grad()
    def _follow(self, model: Mirror, state: FPTTState, window: "_Window") -> FPTTState:
        r"""Move $\lambda$, then $\bar W$, after the parameters; neither by what is not finite."""
        dual = state.dual if self.alpha == 0 else self._dual(model, state, window)
        if not all(bool(torch.isfinite(x).all()) for x in dual.values()):
            return state
        average: dict[str, Tensor] = {}
        for key, w in model.named_parameters():
            average[key] = (1 - self.beta) * state.average[key] + self.beta * w
            if self.alpha != 0:
                average[key] -= self.beta / self.alpha * dual[key]
        return state._replace(average=average, dual=dual)

    def _dual(self, model: Mirror, state: FPTTState, window: "_Window") -> Mapping[str, Tensor]:
        if self.form == "printed":
            return window.gradient()
        return {
            key: state.dual[key] - self.alpha * (w - state.average[key])
            for key, w in model.named_parameters()
        }

    @torch.no_grad()
    def _finish(self, model: Mirror, state: FPTTState) -> FPTTState:
        """What happens at the end of an epoch."""
        if state.trials % self.epoch:
            return state
        if self.average:
            for key, w in model.named_parameters():
                w.copy_(state.average[key])
            model.project_()
        if self.restart:
            state = state._replace(average=_parameters(model), dual=_zeros(model))
        return state


def _parameters(model: Mirror) -> dict[str, Tensor]:
    return {key: w.detach().clone() for key, w in model.named_parameters()}


def _zeros(model: Mirror) -> dict[str, Tensor]:
    return {key: torch.zeros_like(w) for key, w in model.named_parameters()}


@dataclass(frozen=True)
class _Window:
    """One window of a trial, which can be run more than once.

    Arguments:
        trial_run: The trial.
        start, stop: First step, and the one after the last.
        until: Where the look ahead ends.
        state: Where it starts, or None at the start of the trial.
    """

    trial_run: TrialRun
    start: int
    stop: int
    until: int
    state: Mapping[str, Any] | None

    def run(self) -> tuple[Recording, Tensor, Tensor]:
        """Recording and loss of the window, and its loss with that of the look ahead."""
        trial_run = self.trial_run
        recording = trial_run.play(self.start, self.stop, self.state)
        part = trial_run.task.loss_of_window(recording, trial_run.trial)
        if self.until == self.stop:
            return recording, part, part
        beyond = trial_run.play(self.stop, self.until, recording.state)
        return recording, part, part + trial_run.task.loss_of_window(beyond, trial_run.trial)

    def gradient(self) -> dict[str, Tensor]:
        """Gradient with the present parameters, which are left without one; zero where none."""
        model = self.trial_run.model
        parameters = dict(model.named_parameters())
        with torch.enable_grad():
            _, _, goal = self.run()
            if not goal.requires_grad:
                return _zeros(model)
            slopes = torch.autograd.grad(
                goal, list(parameters.values()), allow_unused=True, materialize_grads=True
            )
        return dict(zip(parameters, slopes, strict=True))


@checked
@dataclass(frozen=True)
class FPTT(Forward):
    """Forward propagation through time, with an update at the end of each window.

    Arguments:
        window: Length of a window, a Quantity [s]. One time step is FPTT as published (a loss
            that reads recorded variables, which hold the start of each step, then has to look
            ahead by a step); a longer one keeps more of the gradient, at the memory of that
            window. The last one of a trial may be shorter.
        alpha, beta, mu, form, look_ahead, average, restart, epoch: See `Forward`.

    Raises:
        UnitError: The window or the look ahead is no time.
        DomainError: One of them is shorter than a time step or longer than the trial, or alpha,
            beta, mu or epoch is out of its domain.
        GradientError: The loss of no window depends on a parameter.
        UnknownName: There is no such form.
        ShapeError: An input is longer or shorter than the trial.

    Source: Kag & Saligrama 2021, PMLR 139:5189-5200, the algorithm FPTT.
    Differs from it: see the module's docstring.

    Example:
        >>> from brian2 import ms
        >>> rule = FPTT(window=100 * ms, alpha=0.1)
        >>> rule.form
        'coded'
    """

    window: Any

    def edges(self, model: Mirror, total: int) -> Sequence[int]:
        """See `Forward.edges`."""
        return edges(total, part_steps(model, total, "FPTT", "window", self.window))
