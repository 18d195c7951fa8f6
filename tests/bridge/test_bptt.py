"""Windows: what truncation keeps, what it forgets; the loss, which does not depend on them."""

from copy import deepcopy
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Hz, Network, NeuronGroup, PoissonGroup, Synapses, ms, mV
from torch import Tensor

import mirrorneuron as mn
from mirrorneuron.bridge.learning.bptt import BPTTState
from mirrorneuron.errors import DomainError, GradientError, ShapeError


@cache
def integrator() -> mn.Mirror:
    cells = NeuronGroup(
        1, "dv/dt = (E + I)/ms : 1\nE : 1 (constant)\nI : 1", method="euler", name="cells"
    )
    made = mn.mirror(Network(cells), train=["cells.E", "cells.v"], dtype=torch.float64)
    made.network = None
    return made


def model() -> mn.Mirror:
    """v integrates a trained current, so that its gradient grows with the time remembered."""
    return deepcopy(integrator())


def at_the_end(recording: mn.Recording, trial: mn.Trial) -> Tensor:
    """Potential before the last step; parts of the trial before it count nothing."""
    last = recording.first + recording.steps == 20
    return recording["cells.v"][-1].sum() if last else torch.zeros(())


def gradient(rule: mn.BPTT, loss: object = at_the_end) -> tuple[float, float]:
    trained = model()
    task = mn.Task(2 * ms, loss, record=["cells.v"])  # type: ignore[arg-type]
    rule.step(rule.init(trained), trained, task, mn.Trial(), 0, lambda: None)
    found = (trained.parameter(key).grad for key in ("cells.E", "cells.v"))
    return tuple(0.0 if g is None else float(g) for g in found)  # type: ignore[return-value]


@pytest.mark.parametrize(("window", "steps"), [(None, 19), (2, 19), (1, 9), (0.5, 4), (0.1, 0)])
def test_the_gradient_remembers_one_window(window: float | None, steps: int):
    """Nineteen steps lie before the last one; of them those in its window count."""
    by_level, by_start = gradient(mn.BPTT(window=None if window is None else window * ms))
    assert by_level == pytest.approx(0.1 * steps)
    assert by_start == (1.0 if steps == 19 else 0.0)


def test_a_last_window_may_be_shorter():
    assert gradient(mn.BPTT(window=1.5 * ms))[0] == pytest.approx(0.4)


@pytest.mark.parametrize("update", ["trial", "window"])
def test_a_window_without_loss_is_no_error(update: str):
    task = mn.Task(2 * ms, at_the_end, record=["cells.v"], additive=True)
    rule = mn.BPTT(window=1 * ms, update=update)  # type: ignore[arg-type]
    done = mn.fit(model(), task, rule, steps=1, report=None)
    assert done.evaluations == 1 and not done.skipped


@pytest.mark.parametrize("update", ["trial", "window"])
def test_a_trial_without_any_gradient_is_an_error(update: str):
    task = mn.Task(2 * ms, lambda r, t: torch.zeros(()), additive=True)
    rule = mn.BPTT(window=1 * ms, update=update)  # type: ignore[arg-type]
    with pytest.raises(GradientError, match="does not depend on any parameter"):
        mn.fit(model(), task, rule, steps=1, report=None)


@pytest.mark.parametrize("window", [None, 1])
@pytest.mark.parametrize("length", [10, 19, 21, 40])
def test_inputs_longer_or_shorter_than_the_trial_are_refused(length: int, window: float | None):
    trial = mn.Trial(inputs={"cells.I": torch.zeros(length, 1, 1)})
    task = mn.Task(2 * ms, at_the_end, lambda step: trial, record=["cells.v"])
    rule = mn.BPTT(window=None if window is None else window * ms)
    with pytest.raises(ShapeError, match=rf"'cells.I' has {length} steps.* takes 20"):
        mn.fit(model(), task, rule, steps=1, report=None)


def test_windows_see_their_own_part_of_the_inputs():
    x = torch.rand(20, 1, 1)
    trial = mn.Trial(inputs={"cells.I": x})
    values: list[Tensor] = []

    def collect(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        values.append(recording["cells.v"].detach())
        return recording["cells.v"].sum()

    task = mn.Task(2 * ms, collect, lambda step: trial, record=["cells.v"], additive=True)
    for update in ("trial", "window"):
        rule = mn.BPTT(0.7 * ms, update)
        rule.step(rule.init(model()), model(), task, trial, 0, lambda: False)
    assert [len(x) for x in values] == [20, 7, 7, 6]
    assert torch.equal(values[0], torch.cat(values[1:]))


# ---- one loss, whatever the window


DT = 0.5 * ms


@cache
def read() -> mn.Mirror:
    """Poisson spikes drive recurrent cells with delays and synapses that tire; all is trained."""
    stimulus = PoissonGroup(10, 200 * Hz, dt=DT, name="stimulus")
    cells = NeuronGroup(
        4,
        "dv/dt = -v/tau : volt\ntau : second (constant)",
        threshold="v > 10*mV",
        reset="v -= 10*mV",
        refractory=1 * ms,
        method="exponential_euler",
        dt=DT,
        name="cells",
    )
    cells.tau = 10 * ms
    feed = Synapses(stimulus, cells, "w : volt\nu : 1",
                    on_pre="u = 0.9*u + 0.1*rand(); v_post += u*w", dt=DT, name="feed")  # fmt: skip
    feed.connect()
    feed.w, feed.u = np.linspace(1, 3, 40) * mV, 0.8
    loop = Synapses(cells, cells, "w : volt", on_pre="v_post += w", delay=2 * ms, dt=DT,
                    name="loop")  # fmt: skip
    loop.connect("i != j")
    loop.w = 0.5 * mV
    made = mn.mirror(
        Network(stimulus, cells, feed, loop),
        train=["feed.w", "feed.u", "loop.w", "cells.tau", "cells.v"],
        surrogate=mn.SuperSpike(4 * mV),
        dtype=torch.float64,
    )
    made.network = None
    return made


def no_sum(recording: mn.Recording, trial: mn.Trial) -> Tensor:
    """Reads spikes, traces, the last state, and rates in a square."""
    rate = recording.spikes["cells"].mean() / recording.dt
    state = recording.state
    late = (
        state["cells.v"].sum() + state["loop_pre.history"][0].spikes.sum() + state["feed.u"].mean()
    )
    return ((rate - 20) / 20).square() + 1e4 * recording["cells.v"][3:].var() + late.square()


def found(
    rule: mn.Rule[Any], loss: Any = no_sum, dtype: torch.dtype = torch.float64, **trial: Any
) -> tuple[float, list[Tensor]]:
    """Loss and gradients."""
    trained = deepcopy(read()).to(dtype)
    task = mn.Task(40 * ms, partial(loss, trained) if loss is pulled else loss, record=["cells.v"])
    met = mn.Trial(batch_size=3, **trial)
    outcome, _ = rule.step(rule.init(trained), trained, task, met, 1, lambda: False)
    assert 5 < outcome.rates["cells"] < 400
    gradients = (trained.parameter(key).grad for key in trained.limits)
    return outcome.loss, [g for g in gradients if g is not None]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("window", [0.5, 3, 20, 39.5, 40])
def test_the_loss_does_not_depend_on_the_window(window: float, dtype: torch.dtype):
    loss, gradients = found(mn.BPTT(), dtype=dtype)
    other, windowed = found(mn.BPTT(window=window * ms), dtype=dtype)
    assert other == loss
    same = [torch.equal(a, b) for a, b in zip(gradients, windowed, strict=False)]
    assert all(same) if window == 40 else not all(same)


def pulled(trained: mn.Mirror, recording: mn.Recording, trial: mn.Trial) -> Tensor:
    """The weights themselves are part of the loss."""
    return 1e6 * trained.parameter("loop.w").square().sum() + no_sum(recording, trial)


def test_what_the_loss_reads_of_parameters_counts_once():
    for window in (None, 4 * ms):
        (_, plain), (_, pull) = (found(mn.BPTT(window=window), x) for x in (no_sum, pulled))
        more = [float((b - a).sum()) for a, b in zip(plain, pull, strict=True)]
        assert more == pytest.approx([0, 0, 2e6 * 12 * 0.5e-3, 0, 0], rel=1e-9, abs=1e-6)


def test_the_first_window_keeps_the_gradient_of_the_start():
    """A loss of the first window alone forgets nothing, however short the others."""

    def early(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        return recording["cells.v"][:20].square().sum()

    (_, whole), (_, windowed) = (found(mn.BPTT(window=w), early) for w in (None, 10 * ms))
    assert len(whole) == len(windowed) > 3
    for a, b in zip(whole, windowed, strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=0)


@pytest.mark.parametrize("callable_", [False, True])
def test_a_start_that_depends_on_parameters_is_followed(callable_: bool):
    def start(trained: mn.Mirror) -> Any:
        state = trained.initial_state(1)
        state["cells.v"] = 3 * trained.parameter("cells.E") + state["cells.v"]
        return state

    grads: list[float] = []
    for window in (None, 1 * ms):
        trained = model()
        made = partial(start, trained) if callable_ else start(trained)
        task = mn.Task(2 * ms, lambda r, _: r["cells.v"][:10].sum(), record=["cells.v"])
        rule = mn.BPTT(window=window)
        rule.step(rule.init(trained), trained, task, mn.Trial(state=made), 0, lambda: False)
        grads.append(float(trained.parameter("cells.E").grad or 0))
    assert grads[0] == pytest.approx(grads[1], rel=1e-12)
    assert grads[0] > 30


def test_inputs_that_depend_on_something_pass_the_gradient_on():
    level = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    slopes: list[float] = []
    for window in (None, 0.1 * ms, 1 * ms):
        level.grad = None
        trial = mn.Trial(inputs={"cells.I": level.exp() * torch.ones(20, 1, 1)})
        task = mn.Task(2 * ms, lambda r, _: r.state["cells.v"].sum() + r["cells.I"].sum(),
                       record=["cells.I"])  # fmt: skip
        rule = mn.BPTT(window=window)
        rule.step(BPTTState(), model(), task, trial, 0, lambda: False)
        assert level.grad is not None
        slopes.append(float(level.grad / level.detach().exp()))
    assert slopes == pytest.approx([22, 20.1, 21])


def test_spikes_pass_the_gradient_however_they_are_read():
    def by_step(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        seen = recording.spikes.events["cells"]
        return sum((k * e.spikes.sum() for k, e in enumerate(seen)), torch.zeros(()))

    def at_once(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        return (recording.spikes["cells"].sum((1, 2)) * torch.arange(80)).sum()

    (one, slopes), (other, others) = (found(mn.BPTT(8 * ms), x) for x in (by_step, at_once))
    assert one == other > 0
    for a, b in zip(slopes, others, strict=True):
        assert torch.allclose(a, b, rtol=1e-12)


def test_rows_that_change_when_they_are_asked_for_again_are_refused():
    rng = np.random.default_rng(1)
    trial = mn.Trial(inputs={"cells.I": lambda a, b: rng.random((b - a, 1, 1))})
    task = mn.Task(2 * ms, at_the_end, lambda step: trial, record=["cells.v"])
    with pytest.raises(DomainError, match=r"'cells.I'.*other rows for the steps 10 to 20.*seed"):
        mn.fit(model(), task, mn.BPTT(window=1 * ms), steps=1, report=None)


def test_only_windows_that_the_loss_sees_run_again():
    asked: list[int] = []

    def rows(start: int, stop: int) -> Tensor:
        asked.append(start)
        return torch.zeros(stop - start, 1, 1)

    trial = mn.Trial(inputs={"cells.I": rows})
    task = mn.Task(2 * ms, at_the_end, lambda step: trial, record=["cells.v"])
    mn.fit(model(), task, mn.BPTT(window=0.5 * ms), steps=1, report=None)
    assert asked == [0, 5, 10, 15, 15]


def test_a_loss_at_its_minimum_has_a_gradient_of_zero_and_not_none():
    rule, trained = mn.BPTT(window=1 * ms), model()
    task = mn.Task(2 * ms, lambda r, _: r["cells.v"].square().sum(), record=["cells.v"])
    rule.step(rule.init(trained), trained, task, mn.Trial(), 0, lambda: False)
    gradient = trained.parameter("cells.E").grad
    assert gradient is not None and float(gradient) == 0


class Held:
    """A tensor kept for the backward pass, counted."""

    now = peak = 0

    def __init__(self, x: Tensor) -> None:
        self.x = x.detach()
        Held.now += x.numel() * x.element_size()
        Held.peak = max(Held.peak, Held.now)

    def __del__(self) -> None:
        Held.now -= self.x.numel() * self.x.element_size()


def held(rule: mn.BPTT, duration: int) -> int:
    """Most bytes that autograd held at one time."""
    Held.now = Held.peak = 0
    trained = deepcopy(read())
    task = mn.Task(duration * ms, lambda r, _: r.spikes["cells"].mean().square())
    with torch.autograd.graph.saved_tensors_hooks(Held, lambda x: x.x):
        rule.step(rule.init(trained), trained, task, mn.Trial(), 0, lambda: False)
    return Held.peak


def test_the_graph_is_that_of_one_window():
    short, long = (held(mn.BPTT(window=10 * ms), x) for x in (40, 160))
    assert long < 1.2 * short
    assert held(mn.BPTT(), 160) > 8 * long


# ---- losses


@pytest.mark.parametrize("rule", [mn.BPTT(), mn.BPTT(1 * ms), mn.BPTT(1 * ms, "window"),
                                  mn.FPTT(1 * ms)], ids=repr)  # fmt: skip
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (lambda r: r["cells.v"][:, 0, 0], r"a tensor of shape \(\d+,\).*\.mean\(\) or \.sum\(\)"),
        (lambda r: torch.zeros(0), r"a tensor of shape \(0,\)"),
        (lambda r: r["cells.v"].sum() * 1j, r"a tensor of shape \(\) and type torch.complex"),
        (lambda r: 3.0, r"3\.0, of type float.*without float\(\), \.item\(\) or numpy"),
        (lambda r: None, r"None, of type NoneType.*Return it from the function"),
        (lambda r: np.float64(3), r".*of type float64"),
    ],
)
def test_a_loss_that_is_not_one_number_is_refused_before_anything_runs_twice(
    rule: mn.Rule[Any], value: Any, sentence: str
):
    calls: list[int] = []

    def loss(recording: mn.Recording, trial: mn.Trial) -> Any:
        calls.append(recording.first)
        return value(recording)

    task = mn.Task(2 * ms, loss, record=["cells.v"], additive=True)
    with pytest.raises(GradientError, match=rf"Task\(loss=\.\.\.\): the loss is {sentence}"):
        mn.fit(model(), task, rule, steps=1, report=None)
    assert calls == [0]


def test_a_loss_of_one_element_is_one_number():
    shapes = ((), (1,), (1, 1))
    losses = [found(mn.BPTT(), lambda r, _, s=s: no_sum(r, _).reshape(s))[0] for s in shapes]
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("rule", [mn.BPTT(1 * ms, "window"), mn.FPTT(1 * ms), mn.FPTT_K(2)],
                         ids=repr)  # fmt: skip
def test_a_rule_that_learns_within_a_trial_asks_for_a_sum_over_time(rule: mn.Rule[Any]):
    def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        return recording["cells.v"].square().sum() + trained.parameter("cells.E").sum()

    trained = model()
    task = mn.Task(2 * ms, loss, record=["cells.v"])
    with pytest.raises(DomainError, match=r"(?s)sum over time.*additive=True.*loss_per_window"):
        mn.fit(trained, task, rule, steps=1, report=None)
    for declared in (replace(task, additive=True), replace(task, loss_per_window=loss)):
        assert len(mn.fit(model(), declared, rule, steps=1, report=None).losses) == 1


def test_windows_may_have_a_loss_of_their_own():
    def of_window(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        return recording["cells.v"].sum() + 1

    def of_trial(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        return recording["cells.v"].sum()

    def first_loss(rule: mn.Rule[Any], **losses: Any) -> float:
        task = mn.Task(2 * ms, record=["cells.v"], **losses)
        return rule.step(rule.init(model()), model(), task, mn.Trial(), 0, lambda: False)[0].loss

    rules = (mn.BPTT(), mn.BPTT(1 * ms), mn.BPTT(1 * ms, "window"), mn.FPTT(1 * ms))
    both = [first_loss(rule, loss=of_trial, loss_per_window=of_window) for rule in rules]
    assert both == [0, 0, 2, 2]
    assert [first_loss(rule, loss_per_window=of_window) for rule in rules] == [1, 1, 2, 2]


def test_a_task_without_a_loss_or_with_two_is_refused():
    with pytest.raises(DomainError, match=r"there is no loss.*loss=lambda recording, trial"):
        mn.Task(2 * ms)
    with pytest.raises(DomainError, match="both say what the loss of a window is"):
        mn.Task(2 * ms, at_the_end, additive=True, loss_per_window=at_the_end)
