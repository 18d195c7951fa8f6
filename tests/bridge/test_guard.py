"""Guards of a training: each of them speaks once for each cause, and does what it says."""

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from math import inf, nan
from typing import Any

import pytest
import torch
from brian2 import Network, NeuronGroup, ms
from torch import Tensor
from torch.optim import LBFGS, SGD, Adam

import mirrorneuron as mn
from mirrorneuron.bridge.learning.norm import clip_, norm
from mirrorneuron.errors import DomainError, GradientError, NumericalError


@cache
def read() -> mn.Mirror:
    """Cells whose potential follows two trained levels; an input can make them leave all bounds."""
    cells = NeuronGroup(
        2,
        "dv/dt = (E + D - v + 1e10*I)/(2*ms) : 1\nE : 1 (constant)\nD : 1 (constant)\nI : 1",
        method="euler",
        name="cells",
    )
    cells.E, cells.D = 1, 0.5
    made = mn.mirror(
        Network(cells),
        train={"cells.E": mn.Positive(), "cells.D": mn.Free()},
        dtype=torch.float64,
    )
    made.network = None
    return made


def model(dtype: torch.dtype = torch.float64) -> mn.Mirror:
    return deepcopy(read()).to(dtype)


def distance(recording: mn.Recording) -> Tensor:
    return (recording["cells.v"] - 2).square().mean()


def task(
    losses: Sequence[float] = (), gradients: Sequence[float] = (), inputs: Sequence[float] = ()
) -> mn.Task:
    """In each step the loss is multiplied by one number, and its gradient by one more."""

    def trial(k: int) -> mn.Trial:
        of_loss, of_gradient = (x[k] if k < len(x) else 1.0 for x in (losses, gradients))
        given = torch.full((10, 1, 2), inputs[k] if k < len(inputs) else 0.0)
        return mn.Trial(target=(of_loss, of_gradient), inputs={"cells.I": given})

    def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        of_loss, of_gradient = trial.target
        value = distance(recording) * of_loss
        return value.detach() + (value - value.detach()) * of_gradient

    return mn.Task(1 * ms, loss, trial, ["cells.v"])


def values(trained: mn.Mirror) -> list[Tensor]:
    return [x.clone() for x in trained.state_dict().values()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def fit(learn: mn.Task, steps: int, trained: mn.Mirror | None = None, **more: Any) -> mn.Fit:
    return mn.fit(trained or model(), learn, steps=steps, report=None, **more)


def spoken(said: Any) -> int:
    """How many warnings were of the training."""
    return sum(issubclass(w.category, mn.TrainingWarning) for w in said)


# ---- gradients


def test_a_gradient_far_above_those_before_is_skipped_once_said():
    learn = task(gradients=[1, 1, 1, 1, 1, 1, 1e9, 1, 1e9, 1])
    seen: list[list[Tensor]] = []
    with pytest.warns(mn.TrainingWarning, match=r"step 6 has a norm of .*median.*skipped") as said:
        done = fit(learn, 10, callback=lambda k, m, f: seen.append(values(m)))
    assert spoken(said) == 1 and list(done.warnings) == ["gradient far above those before"]
    assert done.skipped == [6, 8] and [row.step for row in done.history if row.skipped] == [6, 8]
    assert same(seen[5], seen[6]) and not same(seen[6], seen[7])
    assert done.history[6].gradient_norm > 1e6 * done.history[5].gradient_norm


def test_a_size_that_stays_is_no_outlier_any_more():
    learn = task(gradients=[1e-9] * 6 + [1] * 14)
    with pytest.warns(mn.TrainingWarning, match="unless they become the rule"):
        done = fit(learn, 20)
    assert done.skipped == [6, 7, 8, 9, 10, 11]


def test_a_gradient_of_zero_makes_no_later_one_an_outlier():
    assert not fit(task(gradients=[0] * 8 + [1, 1]), 10).skipped


def test_a_square_that_overflows_is_skipped_and_said():
    trained = model(torch.float32)
    before = values(trained)
    with pytest.warns(mn.TrainingWarning, match=r"(?s)step 0.*'exp_avg_sq'.*Adam.*float32.*clip=1"):
        done = fit(task(gradients=[1e25, 1e25]), 2, trained)
    assert same(values(trained), before) and done.skipped == [0, 1]
    with (
        pytest.warns(mn.TrainingWarning, match="overflow|finite"),
        pytest.raises(GradientError, match=r"'exp_avg_sq' .* not finite 3 times in a row, up to"),
    ):
        fit(task(gradients=[1e25] * 3), 3, trained)
    assert same(values(trained), before)


@pytest.mark.parametrize("size", [1e25, 1e38])
def test_clip_takes_what_overflows(size: float):
    trained = model(torch.float32)
    before = values(trained)
    done = fit(task(gradients=[size] * 3), 3, trained, clip=1.0)
    assert not done.skipped and not done.warnings and not same(values(trained), before)


def test_parameters_that_a_step_makes_infinite_are_taken_back():
    trained = model(torch.float32)
    before = values(trained)
    with pytest.warns(mn.TrainingWarning, match="left parameters not finite"):
        done = fit(task(gradients=[1e30]), 1, trained, optimizer=lambda p: SGD(p, lr=1e15))
    assert done.skipped == [0] and same(values(trained), before)


def test_a_gradient_that_is_not_finite_is_said_once_and_listed_every_time():
    learn = task(gradients=[1, nan, 1, inf, 1])
    with pytest.warns(mn.TrainingWarning, match=r"step 1 is not finite.*reset_gradient.*check_gr"
                      ) as said:  # fmt: skip
        done = fit(learn, 5)
    assert spoken(said) == 1 and done.skipped == [1, 3]
    assert done.history.column("skipped") == [False, True, False, True, False]
    assert not done.rolled_back


def test_a_step_that_is_smaller_than_rounding_is_said():
    with pytest.warns(mn.TrainingWarning, match=r"step 0 no parameter moved by a single bit.*1e-30"
                      ) as said:  # fmt: skip
        done = fit(task(), 3, optimizer=lambda p: SGD(p, lr=1e-30))
    assert spoken(said) == 1 and not done.skipped


def test_an_optimiser_that_remembers_a_huge_gradient_stands_still():
    """Adam divides by what it remembers of the first one, for thousands of steps."""
    with pytest.warns(mn.TrainingWarning, match="no parameter moved by a single bit") as said:
        done = fit(task(gradients=[1e18]), 140, model(torch.float32))
    assert spoken(said) == 1 and not done.skipped


def test_parameters_that_have_arrived_are_no_fault():
    for steps in (4, 40):
        assert not fit(task(), steps, optimizer=lambda p: SGD(p, lr=3.0)).warnings


@pytest.mark.parametrize(
    ("gradients", "lr"), [([0.0] * 3, 0.1), ([1.0] * 3, 0.0)], ids=["no gradient", "no rate"]
)
def test_parameters_that_need_not_move_are_no_fault(gradients: list[float], lr: float):
    assert not fit(task(gradients=gradients), 3, optimizer=lambda p: SGD(p, lr=lr)).warnings


# ---- losses


def test_a_loss_that_rises_far_takes_the_parameters_back_to_the_best():
    trained, seen = model(), list[list[Tensor]]()
    with pytest.warns(mn.TrainingWarning, match=r"(?s)step 4, .* rose far above.*of step 3.*lr"):
        done = fit(task(losses=[1, 1, 1, 1, 1e6]), 7, trained,
                   callback=lambda k, m, f: seen.append(values(m)))  # fmt: skip
    assert done.rolled_back == [4] and done.best is not None
    assert same(seen[4], seen[2]) and not same(seen[5], seen[4])
    assert done.best.step == 6 and list(done.warnings) == ["loss rose far above its best"]


def test_the_optimiser_starts_anew_after_that():
    optimizer = Adam(list((trained := model()).parameters()), lr=1e-2)
    with pytest.warns(mn.TrainingWarning):
        fit(task(losses=[1, 1, 1e6]), 3, trained, optimizer=optimizer)
    assert not optimizer.state


def test_a_loss_that_is_lost_again_and_again_ends_the_training_with_the_best_parameters():
    trained = model()
    with (
        pytest.warns(mn.TrainingWarning, match="rose far above its best") as said,
        pytest.raises(GradientError, match=r"3 times after step 1 .*last in step 4.*lr=1e-3") as e,
    ):
        fit(task(losses=[1, 1, 1e6, 1e6, 1e6]), 9, trained)
    assert spoken(said) == 1
    done: mn.Fit = e.value.fit  # type: ignore[attr-defined]
    assert done.best is not None and done.best.step == 1 and len(done.losses) == 5
    assert same(values(trained), list(done.best.values.values()))


def test_neither_noise_around_zero_nor_losses_below_it_are_taken_for_a_rise():
    def shifted(by: float) -> mn.Task:
        learn = task(losses=[1, 1e-9, 1, 30, 1e-9, 500])
        return mn.Task(1 * ms, lambda r, t: learn.loss(r, t) - by, learn.trial, ["cells.v"])

    for by in (0.0, 1e3):
        assert not fit(shifted(by), 6).rolled_back


def test_a_loss_that_is_nan_with_a_gradient_takes_the_parameters_back_at_once():
    def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        return distance(recording) + trial.target

    learn = mn.Task(1 * ms, loss, lambda k: mn.Trial(target=nan if k == 2 else 0.0), ["cells.v"])
    with pytest.warns(mn.TrainingWarning, match=r"step 2, nan, is not finite; the parameters went"):
        done = fit(learn, 4)
    assert done.rolled_back == [2] and not done.skipped


def test_a_second_trial_that_is_lost_takes_the_parameters_back():
    trained, seen = model(), list[list[Tensor]]()
    with pytest.warns(mn.TrainingWarning, match="the second time in a row") as said:
        done = fit(task(losses=[1, 1, 2, nan, nan, 1]), 6, trained,
                   callback=lambda k, m, f: seen.append(values(m)))  # fmt: skip
    assert spoken(said) == 1 and done.skipped == [3, 4] and done.rolled_back == [4]
    assert same(seen[3], seen[2]) and same(seen[4], seen[0]) and done.failed == 0


def test_a_trial_that_cannot_be_run_counts_as_lost():
    learn = task(inputs=[0, 0, 1e300])
    with pytest.warns(mn.TrainingWarning, match=r"(?s)step 2 could not be run.*cells.v.*became"):
        done = fit(learn, 4)
    assert done.skipped == [2] and len(done.losses) == 4 and done.losses[2] != done.losses[2]
    with (
        pytest.warns(mn.TrainingWarning),
        pytest.raises(GradientError, match=r"could not be run 3 times in a row, up to step 3"),
    ):
        fit(task(inputs=[0, 1e300, 1e300, 1e300]), 9)
    with pytest.raises(NumericalError, match="became"):
        fit(task(inputs=[1e300]), 1)


def test_the_rule_starts_anew_from_the_best_parameters():
    """Its running average, too, would pull parameters to where the loss was lost."""

    def quadratic(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        return recording["cells.E"].square().sum() * trial.target

    starts: list[Any] = []

    class Watched(mn.FPTT):
        def step(self, state: Any, *rest: Any, **more: Any) -> Any:
            starts.append(deepcopy(state.average))
            return super().step(state, *rest, **more)

    learn = mn.Task(1 * ms, quadratic, lambda k: mn.Trial(target=1e6 if k == 3 else 1.0),
                    ["cells.E"], additive=True)  # fmt: skip
    trained = model()
    with pytest.warns(mn.TrainingWarning, match="rose far"):
        done = mn.fit(trained, learn, Watched(0.5 * ms), lambda p: SGD(p, lr=1e-3), steps=5,
                      report=None)  # fmt: skip
    assert done.rolled_back == [3]
    assert not torch.equal(starts[3]["cells.E"], torch.zeros(2)) and starts[4]["cells.E"].any() == 0


# ---- activity and optimisers


def driven(drives: Sequence[float]) -> tuple[mn.Mirror, mn.Task]:
    """Cells that are silent, spike, or do so at every step, by their drive in each step."""
    cells = NeuronGroup(
        2, "dv/dt = (E + I - v)/(2*ms) : 1\nE : 1 (constant)\nI : 1", threshold="v > 1",
        reset="v = 0", method="euler", name="cells",
    )  # fmt: skip
    made = mn.mirror(Network(cells), train=["cells.E"], surrogate=mn.SuperSpike(1.0),
                     dtype=torch.float64)  # fmt: skip

    def trial(k: int) -> mn.Trial:
        return mn.Trial(inputs={"cells.I": torch.full((10, 1, 2), drives[k])})

    return made, mn.Task(1 * ms, lambda r, _: distance(r), trial, ["cells.v"])


@pytest.mark.parametrize(
    ("drives", "sentence"),
    [
        ([0.5] * 4, r"'cells' is silent \(0 Hz\) in step 0,"),
        ([5.0, 0.5, 0.5, 0.5, 0.5], r"'cells' is silent \(0 Hz\) in steps 1 to 3,"),
        ([5.0, 30, 30, 30, 30], r"'cells' fires at almost every step \(10000 Hz\) in steps 1 to 3"),
    ],
)
def test_a_group_that_cannot_learn_is_said_once(drives: list[float], sentence: str):
    trained, learn = driven(drives)
    with pytest.warns(mn.TrainingWarning, match=sentence) as said:
        done = fit(learn, len(drives), trained)
    assert spoken(said) == 1 and len(done.warnings) == 1
    assert said[-1].filename == __file__


def test_a_trial_that_is_silent_by_chance_is_no_fault():
    trained, learn = driven([5.0, 0.5, 0.5, 5.0, 0.5, 30])
    assert not fit(learn, 6, trained).warnings


@pytest.mark.parametrize(
    ("optimizer", "sentence"),
    [
        (lambda: Adam([torch.nn.Parameter(torch.ones(3))]), r"Adam.*holds none of.*cells\.E, cell"),
        (lambda: Adam(model().parameters()), r"holds none of"),
        (lambda: lambda parameters: None, r"gave None, which is no optimiser of torch"),
    ],
)
def test_an_optimiser_of_something_else_is_refused(optimizer: Any, sentence: str):
    with pytest.raises(DomainError, match=sentence):
        fit(task(), 1, optimizer=optimizer())


def test_parameters_that_the_optimiser_does_not_hold_are_named():
    trained = model()
    start = trained.parameter("cells.D").detach().clone()
    some = Adam([dict(trained.named_parameters())["cells.E"]])
    with pytest.warns(mn.TrainingWarning, match=r"does not hold cells\.D, which stay as they are"):
        fit(task(), 2, trained, optimizer=some)
    assert torch.equal(trained.parameter("cells.D"), start)


def test_an_optimiser_may_hold_more_than_the_model():
    trained, more = model(), torch.nn.Parameter(torch.ones(1))
    done = fit(task(), 2, trained, optimizer=Adam([*trained.parameters(), more]))
    assert not done.warnings


@pytest.mark.parametrize("clip", [0.0, -1.0, nan])
def test_a_norm_that_is_not_positive_is_refused(clip: float):
    with pytest.raises(DomainError, match=r"clip=.*a number above zero"):
        fit(task(), 1, clip=clip)


def test_a_line_search_does_not_clip():
    with pytest.raises(DomainError, match=r"clip=1\.0.*L-BFGS compares losses with gradients"):
        fit(task(), 1, clip=1.0, optimizer=LBFGS)


# ---- the norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_norm_is_finite_where_the_gradient_is(dtype: torch.dtype):
    largest = torch.finfo(dtype).max
    for scale in (0.0, torch.finfo(dtype).tiny, 1e-20, 1.0, 1e20, largest / 8):
        parts = [torch.tensor([3.0 * scale, 0], dtype=dtype), torch.tensor(4.0 * scale).to(dtype)]
        parts.append(torch.zeros(0, dtype=dtype))
        assert norm(parts) == pytest.approx(5.0 * scale, rel=1e-6)
    assert norm([torch.full((9,), largest, dtype=dtype)]) > 0.9 * largest
    assert norm([]) == 0
    for bad in (nan, inf, -inf):
        assert not abs(norm([torch.ones(2, dtype=dtype), torch.tensor([bad], dtype=dtype)])) < inf


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_clipping_keeps_the_direction(dtype: torch.dtype):
    for scale in (1e-30, 1.0, 1e30, torch.finfo(dtype).max / 8):
        parts = [
            torch.tensor([3.0, 0], dtype=dtype) * scale,
            torch.tensor([4.0], dtype=dtype) * scale,
        ]
        clip_(parts, 0.5)
        wanted = min(1.0, 0.1 / scale) * scale
        assert torch.cat(parts).tolist() == pytest.approx([3 * wanted, 0, 4 * wanted], rel=1e-6)
