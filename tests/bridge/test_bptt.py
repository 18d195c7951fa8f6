"""Windows: what truncation keeps, what it forgets, and inputs that end elsewhere."""

import pytest
import torch
from brian2 import Network, NeuronGroup, ms
from torch import Tensor

import mirrorneuron as mn
from mirrorneuron.errors import GradientError, ShapeError


def model() -> mn.Mirror:
    """v integrates a trained current, so that its gradient grows with the time remembered."""
    cells = NeuronGroup(
        1, "dv/dt = (E + I)/ms : 1\nE : 1 (constant)\nI : 1", method="euler", name="cells"
    )
    return mn.mirror(Network(cells), train=["cells.E", "cells.v"], dtype=torch.float64)


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
    task = mn.Task(2 * ms, at_the_end, record=["cells.v"])
    rule = mn.BPTT(window=1 * ms, update=update)  # type: ignore[arg-type]
    done = mn.fit(model(), task, rule, steps=1, report=None)
    assert done.evaluations == 1 and not done.skipped


@pytest.mark.parametrize("update", ["trial", "window"])
def test_a_trial_without_any_gradient_is_an_error(update: str):
    task = mn.Task(2 * ms, lambda r, t: torch.zeros(()))
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

    for window in (2 * ms, 0.7 * ms):
        task = mn.Task(2 * ms, collect, lambda step: trial, record=["cells.v"])
        mn.fit(model(), task, mn.BPTT(window=window), steps=1, report=None)
    assert torch.equal(values[0], torch.cat(values[1:]))
