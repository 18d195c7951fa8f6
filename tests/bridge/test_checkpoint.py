"""Checkpoints: whatever happens to the files, no good one is lost and no bad one is believed."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from brian2 import Network, NeuronGroup, ms
from torch.optim import LBFGS, SGD

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


def test_two_files_are_kept_and_no_other(tmp_path: Path):
    train(tmp_path, 5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt", "previous.pt"]


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
    train(tmp_path, 2)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.tmp").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match=r"could not be written.*The one before is untouched"):
        train(tmp_path, 3)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    done, _ = train(tmp_path, 3)
    assert done.resumed == 2


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(CheckpointError, match="could not be written"):
        train(tmp_path / "folder", 1)


@pytest.mark.parametrize(
    "other",
    [
        lambda: (model(size=3), {}),
        lambda: (model(level=1.5), {}),
        lambda: (model(torch.float32), {}),
        lambda: (model(), {"optimizer": lambda parameters: SGD(parameters, lr=0.1)}),
        lambda: (model(limit=mn.Sign()), {}),
    ],
    ids=["size", "values", "precision", "optimiser", "limit"],
)
def test_a_training_of_another_kind_is_not_mixed_in(tmp_path: Path, other: Any):
    train(tmp_path, 1)
    trained, arguments = other()
    start = trained.parameter("cells.E").detach().clone()
    with pytest.raises(CheckpointError, match="belongs to another network"):
        train(tmp_path, 2, trained, **arguments)
    assert torch.equal(trained.parameter("cells.E"), start)


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
