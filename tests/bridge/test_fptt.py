"""FPTT: the regulariser against a reference in numpy, windows that look ahead, memory, faults."""

import os
import signal
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Hz, Network, NeuronGroup, PoissonGroup, Synapses, ms, mV
from torch import Tensor
from torch.optim import LBFGS, SGD

import mirrorneuron as mn
from mirrorneuron.bridge.learning.fit import TrainingWarning
from mirrorneuron.bridge.learning.fptt import Forward
from mirrorneuron.bridge.parameter import Free, Limit
from mirrorneuron.errors import (
    CheckpointError,
    DomainError,
    GradientError,
    ShapeError,
    UnitError,
    UnknownName,
)

START = np.array([0.25, -0.5, 0.125])
SIZE = 0.25  # the power of two next to the root mean square
CURVE = np.array([1.0, 0.3, 2.0, 0.7])
GOAL = np.array([[0.0, 1, 2], [1, 1, 1], [-1, 0, 3], [2, -1, 0]])


@cache
def read(build: Callable[[], Network], *limits: tuple[str, Limit]) -> mn.Mirror:
    """A mirror that knows no network, so that it can be copied."""
    surrogate = mn.SuperSpike(3 * mV) if build is network else None
    made = mn.mirror(build(), train=dict(limits), surrogate=surrogate, dtype=torch.float64)
    made.network = None
    return made


def still() -> Network:
    """Cells that integrate what is trained."""
    cells = NeuronGroup(
        3, "dv/dt = (E + I)/ms : 1\nE : 1 (constant)\nI : 1", method="euler", name="cells"
    )
    cells.E = START
    return Network(cells)


def bowl(limit: Limit | None = None) -> mn.Mirror:
    """Parameters without dynamics: what is learnt depends on the loss and the rule alone."""
    return deepcopy(read(still, ("cells.E", limit or Free())))


def quadratic(recording: mn.Recording, trial: mn.Trial) -> Tensor:
    """Window k pulls E towards goal k with curvature k."""
    k = recording.first // 5
    away = recording["cells.E"][0, 0] - torch.from_numpy(GOAL[k])
    return 0.5 * CURVE[k] * away.square().sum()


BOWL = mn.Task(2 * ms, quadratic, record=["cells.E"], additive=True)


def descend(lr: float) -> Callable[[list[torch.nn.Parameter]], SGD]:
    """Steps of `lr` for parameters in SI units."""
    return lambda parameters: SGD(parameters, lr=lr / SIZE**2)


def reference(
    form: str, alpha: float, beta: float, mu: float, trials: int, lr: float,
    average: bool, restart: bool, epoch: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The algorithm as the paper prints it, and as its code has it, in shares of the size."""

    def gradient(w: np.ndarray, k: int) -> np.ndarray:
        return SIZE * CURVE[k] * (SIZE * w - GOAL[k])

    w = START / SIZE
    w_bar, dual = w.copy(), np.zeros(3)
    for trial in range(trials):
        for k in range(4):
            if form == "coded":
                g = gradient(w, k) - dual + mu * alpha * (w - w_bar)
            else:
                g = gradient(w, k) + alpha * (w - w_bar - dual / (2 * alpha))
            w = w - lr / SIZE**2 * g
            if form == "coded":
                dual = dual - alpha * (w - w_bar)
                w_bar = (1 - beta) * w_bar + beta * w - beta / alpha * dual
            else:
                dual = gradient(w, k)
                w_bar = (w_bar + w) / 2 - dual / (2 * alpha)
        if (trial + 1) % epoch == 0:
            w = w_bar.copy() if average else w
            w_bar, dual = (w.copy(), np.zeros(3)) if restart else (w_bar, dual)
    return SIZE * w, w_bar, dual


@pytest.mark.parametrize(
    ("average", "restart", "epoch"),
    [(False, False, 1), (True, False, 2), (True, True, 1), (False, True, 3)],
)
@pytest.mark.parametrize(
    ("form", "alpha", "beta", "mu"),
    [("coded", 0.5, 0.5, 1.0), ("coded", 2.0, 0.7, 2.0), ("coded", 0.1, 1.0, 0.0),
     ("printed", 0.5, 0.5, 1.0), ("printed", 3.0, 0.5, 1.0)],
)  # fmt: skip
def test_a_training_is_that_of_the_reference(
    form: Any, alpha: float, beta: float, mu: float, average: bool, restart: bool, epoch: int,
):  # fmt: skip
    options = {"alpha": alpha, "beta": beta, "mu": mu, "form": form, "average": average,
               "restart": restart, "epoch": epoch}  # fmt: skip
    rule = mn.FPTT(0.5 * ms, **options)
    trained, state = bowl(), None
    optimizer = descend(0.2)(list(trained.parameters()))
    state = rule.init(trained)
    for k in range(5):
        _, state = rule.step(state, trained, BOWL, mn.Trial(), k, applied(optimizer))
    expected = reference(form, alpha, beta, mu, 5, 0.2, average, restart, epoch)
    found = (trained.parameter("cells.E").detach(), state.average["cells.E"], state.dual["cells.E"])
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x.numpy(), y, rtol=1e-12, atol=1e-12)
    assert state.trials == 5


def applied(optimizer: SGD) -> Callable[[], bool]:
    def update() -> bool:
        optimizer.step()
        optimizer.zero_grad()
        return True

    return update


def test_fit_gives_what_the_rule_gives():
    trained = bowl()
    rule = mn.FPTT(0.5 * ms, alpha=0.5)
    done = mn.fit(trained, BOWL, rule, descend(0.2), steps=5, report=None)
    expected, _, _ = reference("coded", 0.5, 0.5, 1.0, 5, 0.2, False, False, 1)
    np.testing.assert_allclose(trained.parameter("cells.E").detach().numpy(), expected, rtol=1e-12)
    assert done.evaluations == 20


@pytest.mark.parametrize("alpha", [0.1, 3.0])
def test_in_the_minimum_of_a_window_the_dual_is_the_gradient_of_its_loss(alpha: float):
    """For SGD one step over the curvature reaches the minimum of a quadratic."""
    trained = bowl()
    rule = mn.FPTT(0.5 * ms, alpha=alpha)
    one = mn.Task(0.5 * ms, quadratic, record=["cells.E"], additive=True)
    optimizer = descend(1 / (CURVE[0] + alpha / SIZE**2))(list(trained.parameters()))
    state = rule.init(trained)
    for k in range(6):
        _, state = rule.step(state, trained, one, mn.Trial(), k, applied(optimizer))
        slope = CURVE[0] * (trained.parameter("cells.E").detach() - torch.from_numpy(GOAL[0]))
        assert torch.allclose(state.dual["cells.E"], SIZE * slope, rtol=1e-10, atol=1e-12)
    assert slope.abs().max() > 1e-9 or alpha < 1


def network() -> Network:
    """Poisson spikes drive three LIF neurons, each of which drives its own leaky readout."""
    dt = 0.5 * ms
    stimulus = PoissonGroup(8, 300 * Hz, dt=dt, name="stimulus")
    cells = NeuronGroup(
        3,
        "dv/dt = -v/(10*ms) : volt",
        threshold="v > 10*mV",
        reset="v = 0*mV",
        method="exact",
        dt=dt,
        name="cells",
    )
    readout = NeuronGroup(3, "dy/dt = -y/(20*ms) : 1", method="exact", dt=dt, name="readout")
    feed = Synapses(stimulus, cells, "w : volt", on_pre="v_post += w", dt=dt, name="feed")
    feed.connect()
    feed.w = np.linspace(1.5, 3.5, 24) * mV
    loop = Synapses(
        cells, cells, "w : volt", on_pre="v_post += w", delay=1 * ms, dt=dt, name="loop"
    )
    loop.connect("i != j")
    loop.w = 0.5 * mV
    out = Synapses(cells, readout, on_pre="y_post += 1", dt=dt, name="out")
    out.connect("i == j")
    return Network(stimulus, cells, readout, feed, loop, out)


def spiking() -> mn.Mirror:
    return deepcopy(read(network, ("feed.w", mn.Positive()), ("loop.w", mn.Sign())))


def at_50_hz(recording: mn.Recording, trial: mn.Trial) -> Tensor:
    """Squared distance of each readout from that of a neuron that fires at 50 Hz."""
    return (recording["readout.y"] - 1).square().mean() * recording.steps / 80


RATE = mn.Task(40 * ms, at_50_hz, record=["readout.y"], additive=True)
FROZEN = mn.Trial({"stimulus": (np.random.default_rng(1).random((80, 1, 8)) < 0.15).astype(float)})


def trained_by(rule: mn.Rule[Any], steps: int = 3) -> tuple[list[float], list[Tensor]]:
    model = spiking()
    done = mn.fit(model, RATE, rule, steps=steps, report=None)
    return done.losses, [p.detach().clone() for p in model.parameters()]


@pytest.mark.parametrize(
    ("rule", "equal"),
    [
        (mn.FPTT(40 * ms, alpha=0), mn.BPTT()),
        (mn.FPTT_K(1, alpha=0), mn.BPTT()),
        (mn.FPTT(10 * ms, alpha=0), mn.BPTT(window=10 * ms, update="window")),
        (mn.FPTT_K(4, alpha=0), mn.BPTT(window=10 * ms, update="window")),
        (mn.FPTT_K(4, alpha=0.3), mn.FPTT(10 * ms, alpha=0.3)),
    ],
)
def test_without_regulariser_it_is_backpropagation_through_its_windows(
    rule: mn.Rule[Any], equal: mn.Rule[Any]
):
    (losses, found), (expected_losses, expected) = trained_by(rule), trained_by(equal)
    assert losses == expected_losses
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("form", ["coded", "printed"])
def test_the_regulariser_acts(form: Any):
    _, plain = trained_by(mn.FPTT(10 * ms, alpha=0))
    _, found = trained_by(mn.FPTT(10 * ms, alpha=0.3, form=form))
    assert not any(torch.equal(a, b) for a, b in zip(found, plain, strict=True))


# ---- windows


def cuts(rule: Forward, total: int = 20) -> list[int]:
    return list(rule.edges(bowl(), total))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [(1, [0, 20]), (3, [0, 7, 13, 20]), (None, [0, 5, 10, 15, 20]), (20, list(range(21)))],
)
def test_parts_differ_by_one_step_at_most(parts: int | None, expected: list[int]):
    assert cuts(mn.FPTT_K(parts)) == expected


def test_a_last_window_may_be_shorter():
    assert cuts(mn.FPTT(0.8 * ms)) == [0, 8, 16, 20]


def gradient(rule: mn.Rule[Any]) -> float:
    """Gradient of the potential before the last step by a trained current: 0.1 a step."""
    trained = bowl()

    def at_the_end(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        last = recording.first + recording.steps == 20
        return recording["cells.v"][-1].sum() if last else torch.zeros(())

    task = mn.Task(2 * ms, at_the_end, record=["cells.v"], additive=True)
    rule.step(rule.init(trained), trained, task, mn.Trial(), 0, lambda: False)
    found = trained.parameter("cells.E").grad
    assert found is not None
    return float(found[0])


@pytest.mark.parametrize(
    ("window", "ahead", "steps"),
    [
        (2, None, 19),
        (0.5, None, 4),
        (0.5, 0.5, 9 + 4),
        (0.5, 1, 14 + 9 + 4),
        (1, 0.5, 9),
        (1, 1, 28),
    ],
)
def test_a_window_learns_from_what_it_looks_ahead_to(window: float, ahead: Any, steps: int):
    """The loss is at the end: a window counts the steps from its start to there."""
    rule = mn.FPTT(window * ms, look_ahead=None if ahead is None else ahead * ms)
    assert gradient(rule) == pytest.approx(0.1 * steps)


@pytest.mark.parametrize("rule", [
    mn.FPTT(10 * ms), mn.FPTT(10 * ms, look_ahead=15 * ms), mn.FPTT_K(7, look_ahead=5 * ms),
    mn.FPTT(13 * ms, form="printed"),
])  # fmt: skip
def test_the_trial_runs_as_it_does_in_one_piece(rule: mn.Rule[Any]):
    """Random numbers, spikes and loss; what is looked ahead to is not counted twice."""

    def outcome(rule: mn.Rule[Any]) -> Any:
        model = spiking()
        return rule.step(rule.init(model), model, RATE, mn.Trial(), 3, lambda: False)[0]

    found, expected = outcome(rule), outcome(mn.BPTT())
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)
    assert found.rates == pytest.approx(expected.rates, rel=1e-12)
    assert expected.rates["cells"] > 10


@pytest.mark.parametrize("rule", [
    mn.BPTT(window=0.6 * ms), mn.FPTT(0.6 * ms), mn.FPTT(0.6 * ms, look_ahead=0.3 * ms)
])  # fmt: skip
def test_inputs_may_be_made_for_each_window(rule: mn.Rule[Any]):
    x = torch.rand(20, 2, 3)
    asked: list[tuple[int, int]] = []

    def rows(start: int, stop: int) -> Tensor:
        asked.append((start, stop))
        return x[start:stop]

    def train(given: Any) -> mn.Fit:
        trial = mn.Trial(inputs={"cells.I": given})
        task = mn.Task(2 * ms, lambda r, _: r["cells.v"].square().mean(), lambda step: trial,
                       record=["cells.v"], additive=True)  # fmt: skip
        return mn.fit(bowl(), task, rule, steps=2, report=None)

    assert train(rows).losses == train(x).losses
    assert {(0, 6), (6, 12), (12, 18), (18, 20)} <= set(asked)
    assert max(stop - start for start, stop in asked) == 6


def test_rows_that_do_not_fill_a_window_are_refused():
    trial = mn.Trial(inputs={"cells.I": lambda start, stop: torch.zeros(20, 1, 3)})
    task = mn.Task(2 * ms, quadratic, lambda step: trial, record=["cells.E"], additive=True)
    with pytest.raises(ShapeError, match=r"shape is \(20, 1, 3\).*The run takes 5 steps"):
        mn.fit(bowl(), task, mn.FPTT(0.5 * ms), steps=1, report=None)


def test_an_input_of_another_length_than_the_trial_is_refused():
    trial = mn.Trial(inputs={"cells.I": torch.zeros(19, 1, 3)})
    task = mn.Task(2 * ms, quadratic, lambda step: trial, record=["cells.E"], additive=True)
    with pytest.raises(ShapeError, match=r"'cells.I' has 19 steps.* takes 20"):
        mn.fit(bowl(), task, mn.FPTT(0.5 * ms), steps=1, report=None)


class Held:
    """A tensor kept for the backward pass, counted."""

    now = peak = 0

    def __init__(self, x: Tensor) -> None:
        self.x = x.detach()
        Held.now += x.numel() * x.element_size()
        Held.peak = max(Held.peak, Held.now)

    def __del__(self) -> None:
        Held.now -= self.x.numel() * self.x.element_size()


def held_bytes(rule: mn.Rule[Any], duration: int) -> int:
    """Most bytes that autograd held at one time."""
    Held.now = Held.peak = 0
    model = spiking()
    task = mn.Task(duration * ms, at_50_hz, record=["readout.y"], additive=True)
    with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.x):
        rule.step(rule.init(model), model, task, mn.Trial(), 0, lambda: False)
    return Held.peak


@pytest.mark.parametrize("form", ["coded", "printed"])
@pytest.mark.parametrize("ahead", [None, 5])
def test_memory_does_not_grow_with_the_trial(form: Any, ahead: int | None):
    """Spikes make windows differ by a little; a step that stayed would show."""
    rule = mn.FPTT(5 * ms, form=form, look_ahead=None if ahead is None else ahead * ms)
    short, long = held_bytes(rule, 20), held_bytes(rule, 80)
    assert long < 1.1 * short
    assert (
        held_bytes(mn.BPTT(), 80)
        > 3.5 * held_bytes(mn.BPTT(), 20)
        > 3 * short / (2 if ahead else 1)
    )


# ---- training


@pytest.mark.parametrize("rule", [
    mn.FPTT(10 * ms), mn.FPTT(10 * ms, form="printed", restart=True),
    mn.FPTT(10 * ms, look_ahead=10 * ms, average=True, epoch=5), mn.FPTT(10 * ms, alpha=0),
], ids=repr)  # fmt: skip
def test_three_neurons_learn_a_rate(rule: mn.Rule[Any]):
    task = mn.Task(RATE.duration, RATE.loss, lambda step: FROZEN, RATE.record, additive=True)
    done = mn.fit(spiking(), task, rule, steps=15, report=None)
    assert np.mean(done.losses[-3:]) < 0.5 * done.losses[0]
    assert not done.skipped


def test_averaged_parameters_stay_within_their_limits():
    trained = bowl(mn.Bounded(-0.5, 0.5))
    seen: list[Tensor] = []
    for _ in range(4):
        rule = mn.FPTT(0.5 * ms, form="printed", average=True)
        mn.fit(trained, BOWL, rule, descend(0.3), steps=1, report=None)
        seen.append(trained.parameter("cells.E").detach().clone())
    assert all((x <= 0.5).all() and (x >= -0.5).all() for x in seen)
    assert any((x.abs() == 0.5).any() for x in seen)


@pytest.mark.parametrize("rule", [
    mn.FPTT(10 * ms), mn.FPTT(10 * ms, form="printed"), mn.FPTT_K(3, average=True, epoch=2)
], ids=repr)  # fmt: skip
@pytest.mark.parametrize("stop", [0, 2])
def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path: Path, rule: Any, stop: int):
    def interrupt(step: int, model: mn.Mirror, done: mn.Fit) -> None:
        if step == stop:
            os.kill(os.getpid(), signal.SIGINT)

    losses, expected = trained_by(rule, 4)
    with pytest.raises(KeyboardInterrupt):
        mn.fit(spiking(), RATE, rule, steps=4, checkpoint=tmp_path, report=None, every=10,
               callback=interrupt)  # fmt: skip
    fresh = spiking()
    done = mn.fit(fresh, RATE, rule, steps=4, checkpoint=tmp_path, report=None)
    assert done.resumed == stop + 1
    assert done.losses == losses
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), expected, strict=True))


@pytest.mark.parametrize(("first", "second"), [(mn.BPTT(), mn.FPTT(1 * ms)),
                                               (mn.FPTT(1 * ms), mn.BPTT())])  # fmt: skip
def test_a_checkpoint_of_another_rule_is_refused(tmp_path: Path, first: Any, second: Any):
    mn.fit(bowl(), BOWL, first, steps=1, checkpoint=tmp_path, report=None)
    with pytest.raises(CheckpointError, match=r"another training, which differs in the rule"):
        mn.fit(bowl(), BOWL, second, steps=2, checkpoint=tmp_path, report=None)


# ---- faults


def test_a_skipped_update_leaves_the_regulariser_as_it_was():
    calls = iter(range(100))

    def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        return quadratic(recording, trial) * (float("nan") if next(calls) in (1, 2) else 1.0)

    task = mn.Task(2 * ms, loss, record=["cells.E"], additive=True)
    trained = bowl()
    with pytest.warns(TrainingWarning, match="step 0 is not finite; the update was skipped"):
        done = mn.fit(trained, task, mn.FPTT(0.5 * ms), descend(0.1), steps=2, report=None)
    assert done.skipped == [0, 0]
    assert np.isnan(done.losses[0]) and np.isfinite(done.losses[1])
    assert torch.isfinite(trained.parameter("cells.E")).all()

    rule, trained = mn.FPTT(0.5 * ms), bowl()
    state = rule.init(trained)
    _, after = rule.step(state, trained, BOWL, mn.Trial(), 0, lambda: False)
    assert after == state._replace(trials=1)


def test_a_second_gradient_that_is_not_finite_is_not_believed():
    calls = iter(range(100))

    def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        return quadratic(recording, trial) * (float("inf") if next(calls) == 1 else 1.0)

    task = mn.Task(2 * ms, loss, record=["cells.E"], additive=True)
    rule, trained = mn.FPTT(0.5 * ms, form="printed"), bowl()
    optimizer = descend(0.1)(list(trained.parameters()))
    _, state = rule.step(rule.init(trained), trained, task, mn.Trial(), 0, applied(optimizer))
    assert all(torch.isfinite(x).all() for x in (*state.average.values(), *state.dual.values()))


def test_three_lost_gradients_end_the_training_with_the_parameters_of_before():
    trained = bowl()
    task = mn.Task(
        2 * ms, lambda r, t: quadratic(r, t) * float("nan"), record=["cells.E"], additive=True
    )
    with (
        pytest.warns(TrainingWarning, match="skipped"),
        pytest.raises(GradientError, match="not finite 3 times in a row, up to step 0"),
    ):
        mn.fit(trained, task, mn.FPTT(0.5 * ms), steps=1, report=None)
    np.testing.assert_array_equal(trained.parameter("cells.E").detach(), START)


@pytest.mark.parametrize("alpha", [0, 0.1])
def test_a_trial_without_any_gradient_is_an_error_and_a_window_without_one_is_not(alpha: float):
    rule = mn.FPTT(0.5 * ms, alpha=alpha)
    nothing = mn.Task(2 * ms, lambda r, t: torch.zeros(()), additive=True)
    with pytest.raises(GradientError, match=r"FPTT.*no window depends on a parameter.*look_ahead"):
        mn.fit(bowl(), nothing, rule, steps=1, report=None)

    def sometimes(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        odd = recording.first // 5 % 2
        return quadratic(recording, trial) if odd else torch.zeros(())

    done = mn.fit(
        bowl(),
        mn.Task(2 * ms, sometimes, record=["cells.E"], additive=True),
        rule,
        steps=3,
        report=None,
    )
    assert done.losses[-1] < done.losses[0] and not done.skipped


def test_an_optimiser_that_evaluates_a_trial_again_is_refused():
    trained = bowl()
    optimizer = LBFGS(trained.parameters())
    with pytest.raises(DomainError, match=r"FPTT changes parameters in each window, and L-BFGS"):
        mn.fit(trained, BOWL, mn.FPTT(0.5 * ms), optimizer, steps=1, report=None)


@pytest.mark.parametrize("rule", [
    lambda x: mn.FPTT(x), lambda x: mn.BPTT(window=x), lambda x: mn.FPTT(1 * ms, look_ahead=x),
    lambda x: mn.FPTT_K(4, look_ahead=x),
], ids=["FPTT", "BPTT", "ahead", "FPTT_K"])  # fmt: skip
@pytest.mark.parametrize(
    ("value", "error", "sentence"),
    [
        (0.1, UnitError, r"=0\.1\): the (window|look_ahead) is 0\.1, a plain number, but has"),
        (1 * mV, UnitError, r"in \[V\], but has to be in \[s\]"),
        ("long", DomainError, r"is 'long', which is no number"),
        (0 * ms, DomainError, r"a (window|look_ahead) shorter than the time step, 0\.1 ms"),
        (0.04 * ms, DomainError, r"holds no step. Write a longer one"),
        (-1 * ms, DomainError, r"shorter than the time step"),
        (float("inf") * ms, DomainError, r"is not one finite time.*Write, say, 100\*ms"),
        ([1, 2] * ms, DomainError, r"is not one finite time"),
        (3 * ms, DomainError, r"of 30 steps of 0\.1 ms is longer than the trial, which has 20"),
    ],
)  # fmt: skip
def test_a_window_that_is_no_part_of_the_trial_is_refused(
    rule: Any, value: Any, error: type[Exception], sentence: str
):
    with pytest.raises(error, match=sentence):
        mn.fit(bowl(), BOWL, rule(value), steps=1, report=None)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"alpha": -0.1}, DomainError, r"alpha=-0\.1\): the strength of the regularis"),
        ({"alpha": float("nan")}, DomainError, r"alpha=nan\).*Write, say, alpha=0\.1, or 0"),
        ({"beta": 0.0}, DomainError, r"beta=0\.0\).*a number above 0 and up to 1"),
        ({"beta": 1.5}, DomainError, r"beta=1\.5\)"),
        ({"mu": -1.0}, DomainError, r"mu=-1\.0\): the weight of the penalty is negative"),
        ({"epoch": 0}, DomainError, r"epoch=0\): an epoch is a number of trials, at least one"),
        ({"epoch": 1.5}, DomainError, r"epoch=1\.5\)"),
        ({"form": "code"}, UnknownName, r"form='code'\) is not known. Did you mean 'coded'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("make", [lambda **x: mn.FPTT(1 * ms, **x), lambda **x: mn.FPTT_K(2, **x)],
                         ids=["FPTT", "FPTT_K"])  # fmt: skip
def test_an_option_out_of_its_domain_is_refused(
    make: Any, options: dict[str, Any], error: type[Exception], sentence: str
):
    with pytest.raises(error, match=r"^FPTT(_K)?\(" + sentence):
        make(**options)


def test_an_update_that_bptt_does_not_know_is_refused():
    with pytest.raises(UnknownName, match=r"BPTT\(update='windows'\) is not known.*'window'"):
        mn.BPTT(update="windows")  # type: ignore[arg-type]


@pytest.mark.parametrize("parts", [0, -1, 21, 2.5])
def test_more_parts_than_steps_or_none_are_refused(parts: float):
    with pytest.raises(DomainError, match=rf"parts={parts}\): a trial of 20 steps cannot be cut"):
        mn.fit(bowl(), BOWL, mn.FPTT_K(parts), steps=1, report=None)
