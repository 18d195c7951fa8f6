"""Natural coordinates: the same training in units of its own, within the same limits."""

import warnings
from collections.abc import Callable

import pytest
import torch
from brian2 import Network, NeuronGroup, ms, mV
from torch import Tensor
from torch.optim import LBFGS, SGD, Adam

import mirrorneuron as mn
from mirrorneuron.bridge.learning.fit import TrainingWarning
from mirrorneuron.errors import DomainError, GradientError

TASK = mn.Task(
    3 * ms, lambda r, _: ((r["cells.v"] - 4e-3) / 1e-3).square().mean(), record=["cells.v"]
)


def model(train: object = None) -> mn.Mirror:
    """A cell that relaxes to a level; nothing spikes."""
    cells = NeuronGroup(
        2, "dv/dt = (E - v)/tau : volt\nE : volt (constant)\ntau : second (constant)",
        method="exponential_euler", name="cells",
    )  # fmt: skip
    cells.E, cells.tau = [1, 2] * mV, 5 * ms
    limits = {"cells.E": mn.Bounded(-5 * mV, 2.5 * mV), "cells.tau": mn.Positive()}
    return mn.mirror(Network(cells), train=limits if train is None else train, dtype=torch.float64)


def lbfgs(coordinates: list[Tensor]) -> LBFGS:
    return LBFGS(coordinates, max_iter=4, line_search_fn="strong_wolfe")


MAKE = {
    "lbfgs": lbfgs,
    "adam": lambda x: Adam(x, lr=0.3),
    "descent": lambda x: SGD(x, lr=0.3),
}


def test_coordinates_are_of_size_one():
    trained = model()
    natural = mn.Natural(trained, lbfgs)
    assert natural.coordinates["cells.E"].detach().square().mean() == pytest.approx(1)
    tau = natural.coordinates["cells.tau"].detach().exp()
    torch.testing.assert_close(tau, torch.full((2,), 5e-3))


@pytest.mark.parametrize("name", MAKE)
def test_the_loss_falls_and_limits_hold_after_every_step(name: str):
    trained = model()

    def look(step: int, seen: mn.Mirror, done: mn.Fit) -> None:
        level, tau = seen.parameter("cells.E"), seen.parameter("cells.tau")
        assert level.min() >= -5e-3 and level.max() <= 2.5e-3
        assert tau.min() >= 5e-6

    done = mn.fit(trained, TASK, optimizer=mn.Natural(trained, MAKE[name]), steps=8, report=None,
                  callback=look)  # fmt: skip
    assert done.losses[-1] < 0.9 * done.losses[0]
    assert trained.parameter("cells.E").max() == 2.5e-3  # the best level is out of reach


def test_a_limit_moves_the_coordinate_too():
    trained = model()
    natural = mn.Natural(trained, lambda x: SGD(x, lr=1e6))
    mn.fit(trained, TASK, optimizer=natural, steps=1, report=None)
    meant = natural.coordinates["cells.E"].detach() * trained.sizes()["cells.E"]
    torch.testing.assert_close(meant, trained.parameter("cells.E").detach(), rtol=1e-14, atol=0)


def test_a_gradient_that_is_not_finite_moves_nothing_and_three_end_the_training():
    trained = model()
    start = {k: trained.parameter(k).detach().clone() for k in trained.limits}
    bad = mn.Task(TASK.duration, lambda r, t: TASK.loss(r, t) * float("nan"), record=TASK.record)
    with (
        pytest.warns(TrainingWarning, match="is not finite; the update was skipped"),
        pytest.raises(GradientError, match="not finite 3 times in a row, up to step 2"),
    ):
        mn.fit(trained, bad, optimizer=mn.Natural(trained, lbfgs), steps=5, report=None)
    assert all(torch.equal(trained.parameter(k), v) for k, v in start.items())


def test_after_one_bad_gradient_the_training_goes_on_as_if_it_had_not_been():
    calls = iter(range(1000))

    def once(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        return TASK.loss(recording, trial) * (float("nan") if next(calls) == 0 else 1.0)

    broken, whole = model(), model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        task = mn.Task(TASK.duration, once, record=TASK.record)
        done = mn.fit(broken, task, optimizer=mn.Natural(broken, lbfgs), steps=3, report=None)
    straight = mn.fit(whole, TASK, optimizer=mn.Natural(whole, lbfgs), steps=2, report=None)
    assert done.skipped == [0]
    assert done.losses[1:] == straight.losses
    assert all(torch.equal(a, b) for a, b in
               zip(broken.parameters(), whole.parameters(), strict=True))  # fmt: skip


def test_a_loss_without_parameters_is_refused_for_lbfgs_too():
    trained = model()
    blind = mn.Task(1 * ms, lambda r, t: torch.tensor(1.0))
    with pytest.raises(GradientError, match="does not depend on any parameter"):
        mn.fit(trained, blind, optimizer=mn.Natural(trained, lbfgs), steps=1, report=None)


def test_a_search_that_tries_what_cannot_run_is_skipped():
    """The optimiser's own line search asks for a time constant below zero."""
    trained = model(["cells.tau"])

    class Search(LBFGS):
        def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
            loss = closure()
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(-1.0)
            closure()
            return loss

    natural = mn.Natural(trained, Search)
    with pytest.warns(TrainingWarning, match="step 0 is not finite; the update was skipped"):
        done = mn.fit(trained, TASK, optimizer=natural, steps=1, report=None)
    assert done.skipped == [0]
    assert torch.equal(trained.parameter("cells.tau"), torch.full((2,), 5e-3))


@pytest.mark.parametrize("start", [0.0, -1.0])
def test_a_positive_parameter_that_starts_elsewhere_has_no_logarithm(start: float):
    trained = model({"cells.E": mn.Positive()})
    with torch.no_grad():
        trained.parameter("cells.E")[1] = start
    with pytest.raises(DomainError, match=r"cells\.E is -?[01] at element 1.*mn\.Positive"):
        mn.Natural(trained, lbfgs)
