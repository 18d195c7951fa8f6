"""A training keeps what it found, ends when it should, and is written down."""

import csv
import os
import signal
import sys
import types
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Hz, Network, NeuronGroup, ms, mV
from torch import Tensor
from torch.optim import LBFGS, SGD, Adam
from torch.optim import lr_scheduler as schedulers

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, MissingDependency, ShapeError


@cache
def read() -> mn.Mirror:
    """Cells whose potential follows a trained level; nothing spikes."""
    cells = NeuronGroup(
        2, "dv/dt = (E - v)/(2*ms) : 1\nE : 1 (constant)", method="euler", name="cells"
    )
    cells.E = [1, 1.5]
    made = mn.mirror(Network(cells), train={"cells.E": mn.Positive()}, dtype=torch.float64)
    made.network = None
    return made


def model() -> mn.Mirror:
    return deepcopy(read())


def distance(recording: mn.Recording, trial: mn.Trial) -> Tensor:
    return (recording["cells.v"] - 2).square().mean()


TASK = mn.Task(1 * ms, distance, record=["cells.v"])


def scripted(losses: Sequence[float]) -> mn.Task:
    """Losses as given, each with the gradient of a potential that should rise."""

    def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        value = distance(recording, trial)
        return trial.target + (value - value.detach())

    return mn.Task(1 * ms, loss, lambda k: mn.Trial(target=losses[k]), ["cells.v"])


def train(task: Any = TASK, steps: Any = 5, trained: Any = None, **more: Any) -> mn.Fit:
    return mn.fit(trained or model(), task, steps=steps, report=None, **more)


def level(trained: mn.Mirror) -> Tensor:
    return trained.state_dict()["cells.E"].clone()


# ---- the best parameters


def test_the_loss_of_a_step_is_that_of_the_parameters_before_its_update():
    trained, levels = model(), [level(model())]
    done = train(scripted([5, 2, 4, 3]), 4, trained,
                 callback=lambda k, m, f: levels.append(level(m)))  # fmt: skip
    assert done.best is not None and (done.best.step, done.best.loss) == (1, 2)
    assert torch.equal(done.best.values["cells.E"], levels[1])
    assert torch.equal(level(trained), levels[4]) and not torch.equal(levels[4], levels[1])
    trained.load_state_dict(done.best.values)
    assert torch.equal(level(trained), levels[1])


@pytest.mark.parametrize("make", [
    None, lambda p: LBFGS(p, lr=0.3), lambda p: LBFGS(p, line_search_fn="strong_wolfe"),
    lambda p: SGD(p, lr=3.0),
])  # fmt: skip
def test_the_best_parameters_have_the_best_loss(make: Any):
    trained = model()
    done = train(TASK, 4, trained, optimizer=make, restore_best=True)
    again = mn.BPTT().step(mn.BPTT().init(trained), trained, TASK, mn.Trial(), 0, lambda: False)
    assert done.best is not None and done.best.loss == min(done.losses) == again[0].loss


def test_the_best_parameters_survive_a_checkpoint(tmp_path: Path):
    task, (straight, broken) = scripted([5, 2, 4, 3, 6]), (model(), model())
    whole = train(task, 5, straight, restore_best=True)
    train(task, 3, broken, checkpoint=tmp_path, restore_best=True)
    resumed = model()
    done = train(task, 5, resumed, checkpoint=tmp_path, restore_best=True)
    assert done.resumed == 3 and done.best is not None and whole.best is not None
    assert done.best[:2] == whole.best[:2] == (1, 2)
    assert torch.equal(level(resumed), level(straight))
    assert done.history == whole.history and done.losses == [5, 2, 4, 3, 6]


def test_a_loss_that_is_not_finite_is_never_the_best():
    with pytest.warns(mn.TrainingWarning, match="no parameters to go back to"):
        done = train(scripted([float("nan"), 3]), 1)
    assert done.best is None and done.rolled_back == [0]


# ---- early stopping


@pytest.mark.parametrize(
    ("losses", "patience", "least", "steps"),
    [
        ([5, 4, 3, 3, 3, 3, 3.5], 2, 0.0, 5),
        ([5, 4, 3, 3, 2, 3, 3, 3], 3, 0.0, 8),
        ([5, 4.9, 4.8, 4.7, 4.6, 5], 3, 1.0, 4),
        ([5, 4.4, 3.8, 3.2, 2.6, 2.0], 2, 1.0, 6),
    ],
)
def test_training_ends_after_steps_without_improvement(
    losses: list[float], patience: int, least: float, steps: int
):
    done = train(scripted(losses), len(losses), patience=patience, min_delta=least)
    assert len(done.losses) == steps
    assert done.stopped == ("steps" if losses[-1] == min(losses) else "patience")


def test_patience_goes_on_counting_after_a_checkpoint(tmp_path: Path):
    task = scripted([5, 4, 4, 4, 4, 4, 4, 4])
    train(task, 3, checkpoint=tmp_path, patience=3)
    done = train(task, 8, checkpoint=tmp_path, patience=3)
    assert (len(done.losses), done.stopped, done.resumed) == (5, "patience", 3)
    again = train(task, 8, checkpoint=tmp_path, patience=3)
    assert (len(again.losses), again.stopped, again.resumed) == (5, "patience", 5)
    assert len(train(task, 8, checkpoint=tmp_path, patience=6).losses) == 8


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"patience": 0}, r"patience=0\): patience is a number of steps.*patience=20"),
        ({"min_delta": -1.0}, r"min_delta=-1\.0\): by this much a loss has to fall"),
        ({"min_delta": float("nan")}, r"min_delta=nan"),
        ({"every": 0}, r"every=0\): that is the number of steps between checkpoints"),
        ({"every": "3"}, r"every='3'\): that is the number of steps between checkpoints"),
        ({"every": True}, r"every=True\): that is the number of steps between checkpoints"),
        ({"patience": "3"}, r"patience='3'\): patience is a number of steps.*patience=20"),
        ({"min_delta": 1 * mV}, r"min_delta=1. \* mvolt\): by this much a loss has to fall"),
        ({"clip": 1 * mV}, r"clip=1. \* mvolt\): the largest norm of a gradient.*without a unit"),
        ({"clip": "1"}, r"clip='1'\): the largest norm of a gradient is a number above zero"),
        ({"checkpoint": 3}, r"checkpoint=3\): that is the path of a folder"),
        (
            {"schedule": schedulers.StepLR},
            r"schedule=StepLR\): that is a class, which cannot be made of the"
            r" optimiser alone.*schedule=lambda optimizer: StepLR\(optimizer, \.\.\.\)",
        ),
        ({"steps": -1}, r"steps=-1\): that is the number of training steps"),
        ({"steps": 100 * ms}, r"steps=.*number of training steps.*mn\.Task\(100\*ms"),
        ({"seed": -1}, r"seed=-1\): a seed is a whole number from 0"),
        ({"seed": None}, r"seed=None\): a seed is a whole number from 0"),
        ({"callback": 5}, r"callback=5\): 5 is no function"),
        ({"callback": [print, None]}, r"callback=.*: None is no function"),
        ({"optimizer": "adam"}, r"optimizer='adam'.*torch\.optim\.Adam"),
        ({"schedule": "cosine"}, r"schedule='cosine'.*CosineAnnealingLR"),
        ({"rule": mn.BPTT}, r"rule=.*class.*no Rule\. Write rule=mn\.BPTT\(\)"),
        ({"task": distance}, r"task=.*a function, which is no Task\. Write task = mn\.Task"),
        ({"trained": "model"}, r"model=.*'model', which is no Mirror.*mn\.mirror"),
    ],
)
def test_what_ends_no_training_is_refused(arguments: dict[str, Any], sentence: str):
    with pytest.raises(DomainError, match=sentence):
        train(**arguments)


def test_a_training_says_why_it_ended():
    assert train().stopped == "steps"
    assert train(steps=0).stopped == "steps"


def test_a_training_learns_where_torch_records_nothing():
    with torch.no_grad():
        done = train()
    assert done.losses == train().losses


# ---- tasks


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"loss": "rate"}, r"Task\(loss='rate'\): a loss is a function"),
        ({"loss": None}, r"there is no loss"),
        ({"loss_per_window": 3}, r"Task\(loss_per_window=3\): a loss is a function"),
        ({"trial": mn.Trial()}, r"Task\(trial=Trial\(.*a function of the training step"),
        ({"record": "cells.v"}, r"Task\(record='cells.v'\): that is a list.*record=\['cells"),
        ({"record": {"cells.v": [0]}}, r"record=.*choose elements in the loss"),
        ({"loss": mn.losses.rate("cells", 5 * Hz), "additive": True},
         r"loss=Rate\(\.\.\.\), additive=True.*no sums over time.*loss_per_window"),
    ],
)  # fmt: skip
def test_what_is_no_task_is_refused_where_it_is_made(arguments: dict[str, Any], sentence: str):
    with pytest.raises(DomainError, match=sentence):
        mn.Task(1 * ms, **({"loss": distance} | arguments))


@pytest.mark.parametrize("made", [None, {"cells.E": 1}, mn.Trial])
def test_what_is_no_trial_is_refused(made: Any):
    task = mn.Task(1 * ms, distance, lambda k: made, ["cells.v"])
    with pytest.raises(DomainError, match=r"step 0 gave .*which is no trial.*mn\.Trial\(inputs="):
        train(task)
    with pytest.raises(DomainError, match="which is no trial"):
        mn.check_gradient(model(), task, report=None)


@pytest.mark.parametrize("rule", [mn.BPTT(), mn.BPTT(0.5 * ms)], ids=["whole", "windows"])
@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"cells.E": 1.0}, r"'cells\.E' is 1\.0, but an input has a row for each of the 10"),
        ({"cells.E": torch.tensor(1.0)}, r"'cells\.E' is tensor.*np\.full"),
        ([1.0] * 10, r"Trial\(inputs=.*has to be a mapping from text to values"),
    ],
)
def test_an_input_has_a_row_for_each_step(rule: mn.BPTT, inputs: Any, sentence: str):
    task = mn.Task(1 * ms, distance, lambda k: mn.Trial(inputs), ["cells.v"])
    with pytest.raises((ShapeError, DomainError), match=sentence):
        train(task, rule=rule)


# ---- callbacks


def stop_at(step: int, how: Callable[[], bool | None]) -> Callable[..., bool | None]:
    return lambda k, trained, done: how() if k == step else None


def fail(error: type[BaseException]) -> Callable[[], bool]:
    def now() -> bool:
        raise error("enough")

    return now


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (lambda: True, "callback"),
        (fail(StopIteration), "callback"),
        (fail(KeyboardInterrupt), "interrupted"),
    ],
    ids=["True", "StopIteration", "KeyboardInterrupt"],
)
def test_a_callback_can_end_a_training(tmp_path: Path, how: Any, why: str):
    trained = model()
    done = train(TASK, 9, trained, callback=stop_at(2, how), checkpoint=tmp_path)
    assert (len(done.losses), done.stopped) == (3, why)
    assert train(TASK, 9, model(), checkpoint=tmp_path).resumed == 3


@pytest.mark.parametrize("value", [np.True_, torch.tensor(True), np.float64(1) < 2], ids=repr)
def test_a_callback_may_say_it_as_numpy_and_torch_do(value: Any):
    """A mean of losses compared with a limit is no `True` of Python's."""
    assert train(callback=lambda k, trained, done: value).stopped == "callback"


@pytest.mark.parametrize("value", [False, None, np.False_, torch.tensor(False), "go on", 1])
def test_a_callback_that_does_not_say_so_ends_nothing(value: Any):
    assert len(train(callback=lambda k, m, f: value).losses) == 5


def test_several_callbacks_are_all_called():
    called: list[tuple[str, int]] = []

    def note(name: str, k: int, trained: mn.Mirror, done: mn.Fit) -> bool:
        called.append((name, len(done.losses)))
        return name == "a" and k == 1

    done = train(callback=[partial(note, "a"), partial(note, "b")])
    assert called == [("a", 1), ("b", 1), ("a", 2), ("b", 2)] and done.stopped == "callback"


def test_an_exception_of_a_callback_loses_nothing(tmp_path: Path):
    with pytest.raises(ZeroDivisionError, match="enough") as caught:
        train(TASK, 9, callback=stop_at(3, fail(ZeroDivisionError)), checkpoint=tmp_path, every=100)
    done: mn.Fit = caught.value.fit  # type: ignore[attr-defined]
    assert len(done.losses) == 4 and done.best is not None and done.stopped == ""
    assert "had taken 4 steps: this error's .fit has" in caught.value.__notes__[0]
    assert train(TASK, 9, checkpoint=tmp_path).resumed == 4


def test_an_error_of_the_task_hands_the_fit_over():
    def trial(k: int) -> mn.Trial:
        return mn.Trial() if k < 3 else fail(ZeroDivisionError)()  # type: ignore[return-value]

    with pytest.raises(ZeroDivisionError) as caught:
        train(mn.Task(1 * ms, distance, trial, ["cells.v"]))
    assert len(caught.value.fit.losses) == 3  # type: ignore[attr-defined]


def test_ctrl_c_hands_the_fit_over():
    with pytest.raises(KeyboardInterrupt) as caught:
        train(callback=stop_at(1, lambda: os.kill(os.getpid(), signal.SIGINT)))
    done: mn.Fit = caught.value.fit  # type: ignore[attr-defined]
    assert (len(done.losses), done.stopped) == (2, "interrupted")


# ---- schedules


SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "LinearLR": lambda o: schedulers.LinearLR(o, 0.1, 1.0, 3),
    "StepLR": lambda o: schedulers.StepLR(o, 2),
    "MultiStepLR": lambda o: schedulers.MultiStepLR(o, [1, 3]),
    "CosineAnnealingLR": lambda o: schedulers.CosineAnnealingLR(o, 6),
    "CosineAnnealingWarmRestarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, 2),
    "OneCycleLR": lambda o: schedulers.OneCycleLR(o, 0.1, total_steps=8),
    "CyclicLR": lambda o: schedulers.CyclicLR(o, 0.01, 0.1, 2, cycle_momentum=False),
    "LambdaLR": lambda o: schedulers.LambdaLR(o, lambda k: 0.5**k),
    "ReduceLROnPlateau": lambda o: schedulers.ReduceLROnPlateau(o, patience=0, threshold=0.5),
    "SequentialLR": lambda o: schedulers.SequentialLR(
        o, [schedulers.ConstantLR(o, 0.5, 2), schedulers.ExponentialLR(o, 0.5)], [2]
    ),
    "ChainedScheduler": lambda o: schedulers.ChainedScheduler(
        [schedulers.ConstantLR(o, 0.5, 2), schedulers.ExponentialLR(o, 0.5)]
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_learning_rates_are_those_of_the_scheduler_and_go_on_after_a_checkpoint(
    tmp_path: Path, name: str
):
    make, straight, resumed = SCHEDULES[name], model(), model()
    whole = train(TASK, 6, straight, schedule=make)
    plain = Adam([torch.nn.Parameter(torch.ones(1))], lr=1e-2)
    plan, rates = make(plain), list[float]()
    for loss in whole.losses:
        rates.append(plain.param_groups[0]["lr"])
        plain.step()
        plan.step(*([loss] if name == "ReduceLROnPlateau" else []))
    assert [row.learning_rates for row in whole.history] == [(rate,) for rate in rates]
    assert len(set(rates)) > 1
    train(TASK, 3, checkpoint=tmp_path, schedule=make)
    done = train(TASK, 6, resumed, checkpoint=tmp_path, schedule=make)
    assert done.resumed == 3 and done.history == whole.history
    assert torch.equal(level(resumed), level(straight))


def test_a_scheduler_can_be_given_with_its_optimiser():
    trained = model()
    optimizer = Adam(trained.parameters(), lr=1e-2)
    done = train(TASK, 3, trained, optimizer=optimizer,
                 schedule=schedulers.ExponentialLR(optimizer, 0.5))  # fmt: skip
    rates = [row.learning_rates[0] for row in done.history]
    assert rates == pytest.approx([1e-2, 5e-3, 2.5e-3])


def test_a_first_update_that_is_skipped_does_not_stop_the_schedule():
    with pytest.warns(mn.TrainingWarning) as said:
        done = train(scripted([float("inf"), 1, 1]), 3, schedule=SCHEDULES["StepLR"])
    assert not any("lr_scheduler" in str(w.message) for w in said)
    assert done.history.column("learning_rates")[2] == (pytest.approx(1e-3),)


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        (lambda o: None, r"gave None, which is no scheduler of torch.*CosineAnnealingLR"),
        (schedulers.ExponentialLR(Adam([torch.nn.Parameter(torch.ones(1))]), 0.5),
         r"ExponentialLR.*belongs to another optimiser.*would never change"),
    ],
)  # fmt: skip
def test_a_schedule_of_something_else_is_refused(schedule: Any, sentence: str):
    with pytest.raises(DomainError, match=sentence):
        train(schedule=schedule)


# ---- what is written down


def test_the_history_has_what_happened(tmp_path: Path):
    slopes: list[float] = []

    class Watched(SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            slopes.append(float(self.param_groups[0]["params"][0].grad.norm()))
            super().step(closure)

    done = train(optimizer=lambda p: Watched(p, lr=0.5))
    assert done.history.column("gradient_norm") == pytest.approx(slopes, rel=1e-12)
    assert done.history.column("step") == list(range(5))
    assert done.losses == done.history.column("loss")
    done.history.to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, line in zip(done.history, rows, strict=True):
        assert (float(line["loss"]), float(line["gradient_norm"])) == (row.loss, row.gradient_norm)
        assert float(line["learning_rate"]) == 0.5 and line["skipped"] == "0"


def test_the_norm_is_that_before_clipping():
    free, clipped = train(steps=1), train(steps=1, clip=1e-6)
    assert free.history[0].gradient_norm == clipped.history[0].gradient_norm > 1e-6


def test_each_group_of_an_optimiser_has_a_column(tmp_path: Path):
    trained = model()
    groups = [{"params": trained.parameters()}, {"params": [torch.nn.Parameter(torch.ones(1))]}]
    done = train(TASK, 2, trained, optimizer=Adam(groups, lr=1e-3))
    done.history.to_csv(tmp_path / "table.csv")
    head = (tmp_path / "table.csv").read_text().splitlines()[0]
    assert head == "step,loss,gradient_norm,learning_rate,learning_rate_1,skipped"


def test_a_checkpoint_has_the_history_as_a_table(tmp_path: Path):
    done = train(checkpoint=tmp_path)
    text = (tmp_path / "history.csv").read_text().splitlines()
    assert len(text) == 6 and text[-1].startswith(f"4,{done.losses[-1]!r},")


def test_tensorboard_gets_every_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    written: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            written.append((folder, 0.0, -1))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))

        def close(self) -> None:
            written.append(("closed", 0.0, -1))

    stub = types.ModuleType("torch.utils.tensorboard")
    stub.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stub)
    done = train(steps=2, tensorboard=tmp_path)
    rows = [(name, x, row.step) for row in done.history for name, x in row.numbers.items()]
    assert written == [(str(tmp_path), 0.0, -1), *rows, ("closed", 0.0, -1)]
    assert {name for name, _, _ in rows} == {"loss", "gradient_norm", "learning_rate"}


def test_tensorboard_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDependency, match=r"tensorboard=.*needs tensorboard.*pip install"):
        train(tensorboard=tmp_path)
