"""What the check of a gradient says of gradients that are right, wrong, or lost in noise."""

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Hz, Network, NeuronGroup, PoissonInput, Synapses, ms

import mirrorneuron as mn
from mirrorneuron.bridge.parameter import Limit
from mirrorneuron.errors import DomainError, GradientError, UnitError, UnknownName


def passive(noise: bool, limits: Mapping[str, Limit] | None = None) -> mn.Mirror:
    """Cells without threshold: their gradient is exact."""
    sigma = "+ 0.2*xi*tau**-.5" if noise else ""
    cells = NeuronGroup(
        5, f"dv/dt = (I - v)/tau {sigma} : 1\nI : 1 (constant)\ntau : second (constant)",
        method="euler", name="cells",
    )  # fmt: skip
    cells.I, cells.tau = [1, 2, -1, 3, 0.5], 10 * ms
    train = ["cells.I", "cells.tau"] if limits is None else limits
    return mn.mirror(Network(cells), train=train, dtype=torch.float64)


def spiking(**options: Any) -> mn.Mirror:
    """Recurrent leaky cells that a Poisson input drives at the step of 0.1 ms."""
    rng = np.random.default_rng(0)
    cells = NeuronGroup(
        20, "dv/dt = (x - v)/(10*ms) : 1\ndx/dt = -x/tau_s : 1", threshold="v > 1", reset="v = 0",
        method="euler", namespace={"tau_s": 5 * ms}, name="cells",
    )  # fmt: skip
    cells.v = rng.uniform(0, 0.9, 20)
    drive = PoissonInput(cells, "x", 20, 50 * Hz, weight=0.25)
    recurrent = Synapses(cells, cells, "w : 1 (shared, constant)", on_pre="x += w", name="ee")
    i, j = np.nonzero(rng.random((20, 20)) < 0.3)
    recurrent.connect(i=i, j=j)
    recurrent.w = 0.1
    network = Network(cells, drive, recurrent)
    return mn.mirror(network, train=["ee.w", "cells.tau_s"], dtype=torch.float64, **options)


def voltage(recording: mn.Recording) -> torch.Tensor:
    return (recording["cells.v"] ** 2).mean()


def rate(recording: mn.Recording) -> torch.Tensor:
    return recording.population_rate("cells").mean()


@pytest.mark.parametrize("noise", [False, True])
def test_the_gradient_of_a_smooth_network_is_trusted(noise: bool) -> None:
    check = mn.check_gradient(
        passive(noise), voltage, 20 * ms, record=["cells.v"], step=0.002, trials=4, report=None
    )
    assert check.verdict == "trusted" and check.ok
    assert check.cosine.value == pytest.approx(1, abs=1e-6)
    assert check.size.value == pytest.approx(1, abs=1e-3)
    assert (check.trials, len(check.steps)) == ((4, 1) if noise else (1, 5))
    for key, truth in check.truth.items():
        assert check.gradient[key].value == pytest.approx(truth.value, rel=1e-3)


def test_the_gradient_through_the_reset_is_trusted_and_the_detached_one_is_called_wrong() -> None:
    followed = mn.check_gradient(spiking(), rate, 60 * ms, trials=8, report=None)
    assert followed.ok, followed
    detached = spiking(reset_gradient="detach", surrogate=mn.SuperSpike(width=0.02))
    check = mn.check_gradient(detached, rate, 25 * ms, trials=2, report=None)
    assert check.verdict == "wrong" and check.size.value > 100
    assert "times as large as the truth" in check.explanation


TRUTH = np.array([[1.0, 2.0], [1.1, 1.9], [0.9, 2.1]])


@pytest.mark.parametrize(
    ("gradients", "verdict"),
    [
        (1.2 * TRUTH, "trusted"),
        (3.0 * TRUTH, "size off"),
        (0.3 * TRUTH, "size off"),
        (TRUTH * [2.0, 0.6], "direction off"),
        (TRUTH * [-1.0, 1.0], "wrong"),
        (TRUTH * 1e200, "size off"),
        (TRUTH * [[1e300], [-1e300], [1e300]], "wrong"),
        (TRUTH + np.array([[5, 0], [-4, 0], [1, 0]]), "cannot be told"),
    ],
)
def test_a_verdict_follows_from_cosine_and_size(gradients: Any, verdict: str) -> None:
    check = mn.GradientCheck(("a", "b"), TRUTH, gradients, (1, 1, 1), 3, (0.05,), 1.0, 0.1)
    assert check.verdict == verdict, str(check)


def test_a_truth_lost_in_noise_says_nothing_unless_the_gradient_is_far_larger() -> None:
    truth = np.array([[1.0], [-1.2], [0.9]])
    made = {
        size: mn.GradientCheck(("a",), truth, size + 0 * truth, (1, 1, 1), 3, (0.05,), 1.0, 0.1)
        for size in (1.0, 1e3)
    }
    assert made[1.0].verdict == "cannot be told" and "Give more trials" in str(made[1.0])
    assert made[1e3].verdict == "wrong" and "no more than 3 times its own" in str(made[1e3])


def test_truths_are_differences_of_runs_with_the_same_random_numbers() -> None:
    model = spiking()
    check = mn.check_gradient(
        model, rate, 30 * ms, parameters=["ee.w"], trials=2, step=0.5, seed=3, report=None
    )
    weight, sides = model.parameter("ee.w"), list[float]()
    with torch.no_grad():
        start = weight.detach().clone()
        for factor in (1.5, 0.5):
            weight.copy_(start * factor)
            sides.append(sum(float(rate(model.run(30 * ms, seed=seed))) for seed in (3, 4)) / 2)
    assert check.keys == ("ee.w",) and sides[0] != sides[1]
    assert check.truth["ee.w"].value == pytest.approx(sides[0] - sides[1], rel=1e-12)


def test_standard_errors_are_those_of_the_mean_over_blocks() -> None:
    check = mn.check_gradient(spiking(), rate, 30 * ms, trials=6, blocks=6, report=None)
    expected = check.truths.std(axis=0, ddof=1) / np.sqrt(6)
    found = [estimate.error for estimate in check.truth.values()]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert expected.min() > 0


def test_a_batch_and_single_trials_give_the_same_check() -> None:
    def trial(k: int) -> mn.Trial:
        return mn.Trial(state=model.initial_state())  # a state of one's own is played alone

    model = spiking()
    task = mn.Task(30 * ms, lambda r, _: rate(r))
    alone = mn.Task(30 * ms, lambda r, _: rate(r), trial)
    first, second = (mn.check_gradient(model, t, trials=3, report=None) for t in (task, alone))
    np.testing.assert_array_equal(first.truths, second.truths)
    np.testing.assert_allclose(first.gradients, second.gradients, rtol=1e-9)


def test_a_task_with_targets_and_batches_is_judged_trial_by_trial() -> None:
    def loss(recording: mn.Recording, trial: mn.Trial) -> torch.Tensor:
        seen.append((recording.spikes["cells"].shape[1], trial.target))
        return (rate(recording) - trial.target) ** 2

    seen: list[tuple[int, float]] = []
    task = mn.Task(10 * ms, loss, lambda k: mn.Trial(target=float(k), batch_size=k + 1))
    mn.check_gradient(spiking(), task, trials=3, parameters=["ee.w"], report=None)
    assert set(seen) == {(1, 0.0), (2, 1.0), (3, 2.0)}


def test_a_silent_network_cannot_be_told() -> None:
    model = spiking()
    check = mn.check_gradient(model, rate, 0.2 * ms, trials=2, report=None)
    assert check.loss == 0 and check.verdict == "cannot be told"
    assert (check.trials, check.steps) == (2, (0.05,))  # they differ, though not in their loss
    assert "may be silent" in str(check) and "Raise its drive" in str(check)


def test_a_parameter_that_is_off_alone_is_named_and_one_lost_in_noise_marked() -> None:
    truth = np.array([[1.0, 0.05, 0.01], [1.01, 0.051, -0.012], [0.99, 0.049, 0.002]])
    gradients = truth * [1.0, 0.4, 1.0]
    keys = ("tau", "w", "u")
    check = mn.GradientCheck(keys, truth, gradients, (1, 1, 1), 3, (0.05,), 1.0, 0.1)
    assert check.ok and check.off_alone == ["w"]
    said = str(check)
    assert "of all together: w alone would be off" in said
    assert said.count("(truth lost in noise)") == 1


def test_a_gradient_that_is_not_finite_is_wrong() -> None:
    def broken(recording: mn.Recording) -> torch.Tensor:
        v = recording["cells.v"].sum()
        return v + torch.sqrt(v - v)  # the derivative of a root at zero is infinite

    check = mn.check_gradient(passive(False), broken, 5 * ms, record=["cells.v"], report=None)
    assert (check.verdict, check.explanation) == ("wrong", "the gradient is not finite")
    assert json.loads(check.to_json())["parameters"]["cells.I"]["gradient"]["value"] is None


def test_the_model_is_as_before() -> None:
    model = spiking()
    rate(model.run(20 * ms, seed=0)).backward()
    before = [(p.detach().clone(), p.grad) for p in model.parameters()]
    mn.check_gradient(model, rate, 20 * ms, trials=2, report=None)
    for parameter, (value, gradient) in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, value) and parameter.grad is gradient


def test_a_check_reads_as_a_table_and_as_json(tmp_path: Any) -> None:
    check = mn.check_gradient(spiking(), rate, 30 * ms, trials=4, report=None)
    lines = str(check).splitlines()
    assert lines[2].split() == ["parameter", "truth", "gradient", "ratio"]
    assert [line.split()[0] for line in lines[3:5]] == ["ee.w", "cells.tau_s"]
    assert lines[-1].startswith(check.verdict)
    assert "<table>" in check._repr_html_()
    check.to_json(tmp_path / "check.json")
    stored = json.loads((tmp_path / "check.json").read_text())
    assert stored["cosine"]["value"] == check.cosine.value
    assert set(stored["parameters"]) == set(check.keys)


def test_progress_is_shown_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrorneuron._progress.LOG_INTERVAL", 0.0)  # a log has a line each 30 s
    mn.check_gradient(spiking(), rate, 1 * ms, trials=2, report="text")
    assert "check_gradient" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"step": 1.5}, DomainError, "a step is a share of the parameter"),
        ({"step": []}, DomainError, "a step is a share of the parameter"),
        ({"trials": 1}, DomainError, "no standard error from one trial"),
        ({"blocks": 1}, DomainError, "no standard error from one trial"),
        ({"step": 5 * ms}, UnitError, r"the step is .*in \[s\]"),
        ({"seed": -1}, DomainError, "seed=-1.*whole number from 0"),
        ({"parameters": ["ee.x"]}, UnknownName, "'ee.x'.*Did you mean 'ee.w'"),
        ({"parameters": "ee.w"}, DomainError, r"one string.*Write parameters=\['ee.w'\]"),
        ({"duration": None}, DomainError, "how long to run"),
        ({"loss": "rate"}, DomainError, "needed is a task, or a function"),
        ({"loss": lambda r: r.population_rate("cells")}, GradientError, "belongs to one number"),
        ({"loss": lambda r: 3.0}, GradientError, "the loss of a trial is 3.0"),
        ({"loss": lambda r: rate(r).detach()}, GradientError, r"no gradient.*without \.detach"),
        ({"loss": lambda r: 0 * rate(r) / 0}, GradientError, "the loss of trial 0 is nan"),
        ({"loss": mn.Task(1 * ms, lambda r, _: rate(r))}, DomainError, "which says them itself"),
    ],
)
def test_what_cannot_be_checked_is_said(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    given: dict[str, Any] = {"loss": rate, "duration": 1 * ms, "report": None} | options
    with pytest.raises(error, match=message):
        mn.check_gradient(spiking(), **given)


LIMITS = {
    "cells.I": [mn.Free(), mn.Sign(), mn.Bounded(-9, 9)],
    "cells.tau": [mn.Positive(), mn.Bounded(1 * ms, 99 * ms), mn.Free()],
}


@pytest.mark.parametrize("limits", list(zip(*LIMITS.values(), strict=True)))
@pytest.mark.parametrize("fails", [False, True])
def test_a_check_leaves_what_was_trained_before_it(
    limits: tuple[Limit, Limit], fails: bool
) -> None:
    """A positive parameter is kept as a logarithm, against a reference that a check must keep."""
    model = passive(noise=True, limits=dict(zip(LIMITS, limits, strict=True)))
    with torch.no_grad():
        for raw in model.parameters():
            raw.add_(0.3).grad = torch.ones_like(raw)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    exact = [held.exact() for held in model.trained.values()]
    seen: list[float] = []

    def loss(recording: mn.Recording) -> torch.Tensor:
        seen.append(1)
        return voltage(recording) if len(seen) < 9 or not fails else torch.zeros(2)

    with pytest.raises(GradientError) if fails else nullcontext():
        mn.check_gradient(
            model, loss, 5 * ms, record=["cells.v"], trials=2, blocks=2, report=None
        )  # fmt: skip
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    for held, (raw, reference) in zip(model.trained.values(), exact, strict=True):
        assert torch.equal(held.raw, raw) and torch.equal(held.exact()[1], reference)
        assert held.raw.grad is not None and bool((held.raw.grad == 1).all())
        held.raw.data.fill_(-1e9)
    assert bool((model.parameter("cells.tau") >= 0).all()) or isinstance(limits[1], mn.Free)


def test_a_parameter_at_its_border_is_changed_to_both_sides() -> None:
    """Else the difference would be that of a half step, called one of a whole."""
    there = passive(noise=False, limits={"cells.tau": mn.Bounded(5 * ms, 10 * ms)})
    elsewhere = passive(noise=False, limits={"cells.tau": mn.Bounded(5 * ms, 20 * ms)})
    truth, same = (
        mn.check_gradient(m, voltage, 20 * ms, record=["cells.v"], report=None).truth["cells.tau"]
        for m in (there, elsewhere)
    )
    assert truth == same


def test_what_the_loss_of_a_task_reads_is_recorded() -> None:
    loss = mn.losses.voltage("cells.v", 0.5, scale=0.1)
    assert mn.check_gradient(passive(noise=False), mn.Task(20 * ms, loss), step=0.002, report=None)


def test_a_gradient_is_checked_where_torch_records_nothing() -> None:
    with torch.no_grad():
        check = mn.check_gradient(
            passive(noise=False), voltage, 20 * ms, record=["cells.v"], step=0.002, report=None
        )
    assert check.ok


def test_a_parameter_of_zero_has_no_relative_step() -> None:
    model = spiking()
    with torch.no_grad():
        model.parameter("ee.w").mul_(0)
    with pytest.raises(DomainError, match=r"ee.w is zero.*parameters=\['cells.tau_s'\]"):
        mn.check_gradient(model, rate, 1 * ms, report=None)


def test_a_model_without_parameters_has_no_gradient() -> None:
    cells = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", name="cells", method="euler")
    with pytest.raises(GradientError, match="the model has no parameters"):
        mn.check_gradient(mn.mirror(Network(cells)), voltage, 1 * ms)


@pytest.mark.parametrize("key", ["spikes", "traces", "state"])
def test_a_recording_of_some_trials_is_that_of_a_run_of_these(key: str) -> None:
    model = spiking()
    compared: dict[str, Callable[[mn.Recording], Any]] = {
        "spikes": lambda r: r.spike_monitor("cells", 0).i,
        "traces": lambda r: r["cells.v"].detach(),
        "state": lambda r: model.run(5 * ms, state=r.state).spikes["cells"].detach(),
    }
    whole = model.run(30 * ms, batch_size=3, record=["cells.v"], seed=0)
    first = model.run(30 * ms, record=["cells.v"], seed=0)
    np.testing.assert_array_equal(compared[key](whole.trials(0, 1)), compared[key](first))
    assert whole.trials(1, 3).rates()["cells"] == pytest.approx(
        float(whole.spikes["cells"][:, 1:].detach().mean() / whole.dt)
    )
