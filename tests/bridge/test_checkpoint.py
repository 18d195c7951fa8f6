"""Checkpoints: whatever happens to the files, no good one is lost and no bad one is believed."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, Synapses, ms
from torch.optim import LBFGS, SGD, Adam
from torch.optim.lr_scheduler import LambdaLR, StepLR

import mirrorneuron as mn
from mirrorneuron.errors import CheckpointError


def model(
    dtype: torch.dtype = torch.float64,
    size: int = 2,
    level: float = 1.0,
    limit: Any = mn.Positive(),  # noqa: B008
) -> mn.Mirror:
    """Cells whose potential follows a trained level; nothing spikes."""
    cells = NeuronGroup(
        size, "dv/dt = (E - v)/(2*ms) : 1\nE : 1 (constant)", method="euler", name="cells"
    )
    cells.E = level
    return mn.mirror(Network(cells), train={"cells.E": limit}, dtype=dtype)


TASK = mn.Task(1 * ms, lambda r, _: (r["cells.v"] - 2).square().mean(), record=["cells.v"])


def train(
    folder: Path, steps: int, trained: mn.Mirror | None = None, **arguments: Any
) -> tuple[mn.Fit, mn.Mirror]:
    trained = model() if trained is None else trained
    done = mn.fit(trained, TASK, steps=steps, checkpoint=folder, report=None,
                  **{"every": 1, **arguments})  # fmt: skip
    return done, trained


def damage(path: Path, offset: int) -> None:
    path.write_bytes(path.read_bytes()[:offset])


def test_two_files_and_the_history_are_kept_and_no_other(tmp_path: Path):
    train(tmp_path, 5)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint.pt",
        "history.csv",
        "previous.pt",
    ]


def test_cut_anywhere_a_checkpoint_is_never_believed(tmp_path: Path):
    train(tmp_path, 3)
    latest, whole = tmp_path / "checkpoint.pt", (tmp_path / "checkpoint.pt").read_bytes()
    trained = model()
    for offset in range(0, len(whole), max(1, len(whole) // 40)):
        latest.write_bytes(whole[:offset])
        with pytest.warns(UserWarning, match="checkpoint.pt is damaged"):
            done, _ = train(tmp_path, 2, trained)
        assert done.resumed == 2


@pytest.mark.parametrize(
    "content", [{}, [1, 2], torch.ones(3), {"specification": "x", "model": {}}, "text"]
)
def test_a_file_that_holds_something_else_is_damaged(tmp_path: Path, content: object):
    train(tmp_path, 3)
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.warns(UserWarning, match="checkpoint.pt is damaged"):
        done, _ = train(tmp_path, 3)
    assert done.resumed == 2


def test_a_file_with_code_is_not_executed(tmp_path: Path):
    train(tmp_path, 2)
    mark = tmp_path / "executed"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {mark}",)

    for name in ("checkpoint.pt", "previous.pt"):
        torch.save(Evil(), tmp_path / name)
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(CheckpointError, match="no checkpoint can be read"),
    ):
        train(tmp_path, 3)
    assert not mark.exists()


def test_a_damaged_file_never_takes_the_place_of_a_good_one(tmp_path: Path):
    train(tmp_path, 3)
    damage(tmp_path / "checkpoint.pt", 100)
    with pytest.warns(UserWarning, match="is damaged"):
        train(tmp_path, 3)
    for name in ("checkpoint.pt", "previous.pt"):
        assert "model" in torch.load(tmp_path / name, weights_only=True)


@pytest.mark.parametrize("missing", ["checkpoint.pt", "previous.pt"])
def test_one_file_is_enough(tmp_path: Path, missing: str):
    straight, _ = train(tmp_path / "straight", 5)
    train(tmp_path, 3)
    (tmp_path / missing).unlink()
    done, _ = train(tmp_path, 5)
    assert done.resumed == (2 if missing == "checkpoint.pt" else 3)
    assert done.losses == straight.losses


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    before: list[bytes] = []

    def fill(step: int, trained: mn.Mirror, done: mn.Fit) -> None:
        before.append((tmp_path / "checkpoint.pt").read_bytes())
        if step == 1:
            (tmp_path / f"checkpoint-{os.getpid()}.tmp").symlink_to("/dev/full")

    with pytest.raises(CheckpointError, match=r"could not be written.*The one before is untouched"):
        train(tmp_path, 3, callback=fill)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before[1]
    done, _ = train(tmp_path, 3)
    assert done.resumed == 2


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(CheckpointError, match="could not be written"):
        train(tmp_path / "folder", 1)


def sgd(lr: float) -> Any:
    return lambda parameters: SGD(parameters, lr=lr)


def slower(optimizer: Any) -> StepLR:
    return StepLR(optimizer, 5)


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (lambda: (model(size=3), {}), r"the network \(\w+, there \w+\)"),
        (lambda: (model(level=1.5), {}), r"the network \(\w+, there \w+\)"),
        (lambda: (model(torch.float32), {}), r"precision \(torch\.float32, there torch\.float64"),
        (lambda: (model(), {"optimizer": sgd(0.1)}), r"optimiser \(SGD\(.*\), there Adam\(beta"),
        (lambda: (model(), {"optimizer": Adam}), r"the learning rate \(0\.001, there 0\.01\)\."),
        (lambda: (model(limit=mn.Sign()), {}), r"trained variables \(cells\.E \(keeps its sign\)"),
        (lambda: (model(), {"seed": 1}), r"the seed \(1, there 0\)\."),
        (lambda: (model(), {"clip": 1.0}), r"clip \(1\.0, there None\)\."),
        (lambda: (model(), {"rule": mn.BPTT(0.5 * ms)}), r"rule \(BPTT\(window=.*there.*=None"),
        (lambda: (model(), {"schedule": slower}), r"schedule \(StepLR\(step_size=5.*there none\)"),
    ],
    ids=["size", "values", "precision", "optimiser", "rate", "limit", "seed", "clip", "rule",
         "schedule"],
)  # fmt: skip
def test_a_training_of_another_kind_is_not_mixed_in(tmp_path: Path, other: Any, differs: str):
    train(tmp_path, 1)
    trained, arguments = other()
    start = trained.parameter("cells.E").detach().clone()
    with pytest.raises(CheckpointError, match=rf"another training, which differs in.*{differs}"):
        train(tmp_path, 2, trained, **arguments)
    assert torch.equal(trained.parameter("cells.E"), start)


def cells(values: list[float], later: int = 1) -> mn.Mirror:
    """Cells with levels that share their range and their mean, and delays that share theirs."""
    group = NeuronGroup(
        4, "dv/dt = (E - v)/tau : 1\nE : 1 (constant)\ntau : second (constant)", threshold="v > 10",
        reset="v = 0", method="euler", name="cells",
    )  # fmt: skip
    group.E, group.tau = values, 2 * ms
    synapses = Synapses(group, group, on_pre="v_post += 1", name="syn")
    synapses.connect(i=[0, 1, 2, 3], j=[1, 2, 3, 0])
    synapses.pre.delay = np.roll([1, 1, 2, 3], later) * ms
    return mn.mirror(Network(group, synapses), train=["cells.tau"], dtype=torch.float64)


@pytest.mark.filterwarnings("ignore::mirrorneuron.TrainingWarning")
def test_a_network_with_other_values_of_the_same_range_is_another_one(tmp_path: Path):
    train(tmp_path, 1, cells([1, 2, 3, 4]))
    for other in (cells([1, 3, 2, 4]), cells([1, 2, 3, 4], later=2)):
        with pytest.raises(CheckpointError, match=r"differs in the network \(\w+, there \w+\)"):
            train(tmp_path, 2, other)
    assert train(tmp_path, 2, cells([1, 2, 3, 4]))[0].resumed == 1


def test_a_trial_of_another_length_is_not_mixed_in(tmp_path: Path):
    train(tmp_path, 1)
    longer = replace(TASK, duration=2 * ms)
    with pytest.raises(CheckpointError, match=r"duration of a trial \(20 steps, there 10 steps\)"):
        mn.fit(model(), longer, steps=2, checkpoint=tmp_path, report=None)


def test_what_a_checkpoint_does_not_hold_is_said(tmp_path: Path):
    trained, more = model(), torch.nn.Parameter(torch.ones(1))
    optimizer = Adam([*trained.parameters(), more])
    with pytest.warns(mn.TrainingWarning, match=r"holds 1 tensors.*hold only the model's"):
        train(tmp_path, 1, trained, optimizer=optimizer)


def test_a_gradient_of_another_kind_is_not_mixed_in(tmp_path: Path):
    def spiking(width: float, reset: Any) -> mn.Mirror:
        cells = NeuronGroup(2, "dv/dt = (E - v)/(2*ms) : 1\nE : 1 (constant)", method="euler",
                            threshold="v > 0.5", reset="v = 0", name="cells")  # fmt: skip
        cells.E = 3
        return mn.mirror(Network(cells), train=["cells.E"], surrogate=mn.SuperSpike(width),
                         reset_gradient=reset, dtype=torch.float64)  # fmt: skip

    train(tmp_path, 1, spiking(1.0, "detach"))
    for width, reset in ((2.0, "detach"), (1.0, "surrogate")):
        with pytest.raises(
            CheckpointError, match=r"differs in the gradient of 'cells.spike' \(.*there"
        ):
            train(tmp_path, 2, spiking(width, reset))
    assert train(tmp_path, 2, spiking(1.0, "detach"))[0].resumed == 1


def test_an_optimiser_that_a_schedule_has_changed_goes_on_with_its_own_checkpoint(tmp_path: Path):
    """The same optimiser, given again, has another learning rate than at the start."""
    straight, trained = model(), model()
    whole = mn.fit(straight, TASK, steps=6, report=None, schedule=slower)
    optimizer = Adam(trained.parameters(), lr=1e-2)
    for steps in (3, 6):
        done, _ = train(tmp_path, steps, trained, optimizer=optimizer, schedule=slower)
    assert done.losses == whole.losses and done.history[-1].learning_rates == pytest.approx((1e-3,))


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("model", {}),
        ("model", {"cells.E": (torch.ones(3), torch.ones(3))}),
        ("model", {"cells.E": torch.ones(2)}),
        ("optimizer", {}),
        ("optimizer", {"state": {}, "param_groups": []}),
        ("rule", [1, 2, 3]),
        ("done", {}),
        ("done", {"history": [[1]]}),
        ("done", [1]),
        ("specification", "x"),
        ("specification", [1]),
    ],
)
def test_a_whole_file_with_the_wrong_content_is_damaged_and_changes_nothing(
    tmp_path: Path, entry: str, value: Any
):
    train(tmp_path, 3)
    for name in ("checkpoint.pt", "previous.pt"):
        content = torch.load(tmp_path / name, weights_only=True)
        torch.save({**content, entry: value}, tmp_path / name)
        trained, optimizer = model(), None
        if name == "checkpoint.pt":
            with pytest.warns(UserWarning, match="checkpoint.pt is damaged"):
                assert train(tmp_path, 2, trained)[0].resumed == 2
            continue
        before, optimizer = (
            trained.state_dict()["cells.E"].clone(),
            Adam(trained.parameters(), 1e-2),
        )
        with (
            pytest.warns(UserWarning, match="is damaged"),
            pytest.raises(CheckpointError, match=r"no checkpoint can be read.*of another version"),
        ):
            train(tmp_path, 4, trained, optimizer=optimizer)
        assert torch.equal(trained.state_dict()["cells.E"], before) and not optimizer.state


def lbfgs(trained: mn.Mirror) -> LBFGS:
    return LBFGS(trained.parameters(), max_iter=2, line_search_fn="strong_wolfe")


@pytest.mark.parametrize("make", [None, lbfgs])
@pytest.mark.parametrize("stop", [0, 3])
def test_a_training_stopped_at_any_step_goes_on_bit_for_bit(tmp_path: Path, stop: int, make: Any):
    def arguments(trained: mn.Mirror) -> dict[str, Any]:
        return {"optimizer": None if make is None else make(trained)}

    straight = model()
    whole = mn.fit(straight, TASK, steps=5, report=None, **arguments(straight))

    def interrupt(step: int, trained: mn.Mirror, done: mn.Fit) -> None:
        if step == stop:
            os.kill(os.getpid(), signal.SIGINT)

    broken, fresh = model(), model()
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, 5, broken, every=100, callback=interrupt, **arguments(broken))
    done, _ = train(tmp_path, 5, fresh, **arguments(fresh))
    assert done.resumed > 0
    assert done.losses == whole.losses
    assert torch.equal(fresh.parameter("cells.E"), straight.parameter("cells.E"))


def test_an_interrupt_within_a_step_finishes_and_keeps_it(tmp_path: Path):
    calls, handler = iter(range(10)), signal.getsignal(signal.SIGINT)

    def trial(step: int) -> mn.Trial:
        if next(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return mn.Trial()

    task = mn.Task(TASK.duration, TASK.loss, trial, TASK.record)
    with pytest.raises(KeyboardInterrupt):
        mn.fit(model(), task, steps=9, checkpoint=tmp_path, every=100, report=None)
    done, _ = train(tmp_path, 5)
    straight, _ = train(tmp_path / "straight", 5)
    assert done.resumed == 3
    assert done.losses == straight.losses
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_finished_training_is_not_repeated(tmp_path: Path):
    done, trained = train(tmp_path, 4)
    again, fresh = train(tmp_path, 4)
    assert again.losses == done.losses and again.resumed == 4
    assert torch.equal(fresh.parameter("cells.E"), trained.parameter("cells.E"))


def test_two_trainings_in_one_folder_are_kept_apart(tmp_path: Path):
    def second(step: int, trained: mn.Mirror, done: mn.Fit) -> None:
        with pytest.raises(CheckpointError, match="another training is under way there"):
            train(tmp_path, 2)

    train(tmp_path, 2, callback=second)
    assert len(train(tmp_path, 4)[0].losses) == 4  # the lock is gone with the training


def test_a_lock_that_a_killed_training_left_behind_keeps_nobody_out(tmp_path: Path):
    (tmp_path / "lock").write_bytes(b"")
    (tmp_path / "checkpoint-1.tmp").write_bytes(b"half")
    train(tmp_path, 2)
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoint.pt", "history.csv", "previous.pt"}


def test_a_schedule_that_gives_numbers_of_numpy_is_read_again(tmp_path: Path):
    def fading(optimizer: Any) -> LambdaLR:
        return LambdaLR(optimizer, lambda step: np.exp(-np.float64(step)))

    for steps in (2, 4):
        done, _ = train(tmp_path, steps, schedule=fading)
    assert len(done.history) == 4
