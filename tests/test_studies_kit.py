"""What studies share: metrics with targets, cached results, files that are complete, figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from matplotlib.figure import Figure

from mirrorneuron.errors import CheckpointError
from mirrorneuron.studies._kit.figure import draw_all
from mirrorneuron.studies._kit.file import cached, whole, working_folder, write_csv
from mirrorneuron.studies._kit.record import Record
from mirrorneuron.studies._kit.result import Metric


class Note:
    """A text that is saved; a damaged file holds "?"."""

    def __init__(self, text: str) -> None:
        self.text = text

    def save(self, path: Path) -> None:
        path.write_text(self.text)

    @staticmethod
    def load(path: Path) -> "Note":
        if path.read_text() == "?":
            raise CheckpointError("damaged")
        return Note(path.read_text())


def test_a_metric_reaches_its_target_or_misses_it_and_without_one_is_not_judged() -> None:
    assert [Metric.below(1.0, "1", 2.0).ok, Metric.below(2.0, "1", 2.0).ok] == [True, False]
    assert [Metric.at_least(2.0, "1", 2.0).ok, Metric.at_least(1.0, "1", 2.0).ok] == [True, False]
    assert [Metric.near(1.0, "1", 2.0, 1.0).ok, Metric.near(1.0, "1", 2.0, 0.5).ok] == [True, False]
    assert Metric.below(1.0, "1", None).ok is None and Metric.at_least(1.0, "1", None).ok is None
    assert Metric.below(float("nan"), "1", 2.0).ok is False
    assert Metric.holds(True) == Metric(1.0, "1", 1.0, True)


def test_a_cached_result_is_computed_once(tmp_path: Path) -> None:
    path = tmp_path / "note.npz"
    assert cached(path, lambda: Note("first"), Note.load).text == "first"
    assert cached(path, lambda: Note("second"), Note.load).text == "first"
    path.write_text("?")
    with pytest.raises(CheckpointError):
        cached(path, lambda: Note("third"), Note.load)


def test_a_cached_result_of_other_settings_or_a_damaged_one_is_computed_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "note.npz"
    assert cached(path, lambda: Note("first"), Note.load, "a").text == "first"
    assert cached(path, lambda: Note("second"), Note.load, "a").text == "first"
    assert cached(path, lambda: Note("third"), Note.load, "b").text == "third"
    path.write_text("?")
    assert cached(path, lambda: Note("fourth"), Note.load, "b").text == "fourth"


@dataclass(frozen=True)
class Course(Record):
    """A record of a sequence and a mapping."""

    values: Sequence[float]
    rates: Mapping[str, float]


def test_a_record_is_read_as_it_was_written_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "course.json"
    Course((0.1, 1e-300), MappingProxyType({"a": 2.0})).save(path)
    assert Course.load(path) == Course([0.1, 1e-300], {"a": 2.0})
    for text in ("{", '{"values": []}', "[]"):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=r"holds no finished Course .* Remove it, and it"):
            Course.load(path)


def test_a_file_stays_as_it_was_where_writing_is_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_csv(path, [("a", "b"), (1, 2)])
    with pytest.raises(KeyboardInterrupt), whole(path) as file:
        file.write("half")
        raise KeyboardInterrupt
    assert path.read_text() == "a,b\n1,2\n"


def test_a_working_folder_is_emptied_unless_a_run_is_resumed(tmp_path: Path) -> None:
    folder = working_folder(tmp_path / "runs", resume=False)
    (folder / "done").write_text("")
    assert (working_folder(folder, resume=True) / "done").exists()
    assert not (working_folder(folder, resume=False) / "done").exists()


def draw_nothing(found: str) -> Figure:
    """Nothing at all,

    on two lines.
    """
    figure = Figure()
    figure.suptitle(found)
    return figure


def test_a_figure_has_the_name_and_the_docstring_of_the_function_that_draws_it(
    tmp_path: Path,
) -> None:
    captions = draw_all(tmp_path, "title", [draw_nothing])
    assert captions == {tmp_path / "nothing.png": "Nothing at all, on two lines."}
    assert (tmp_path / "nothing.png").read_bytes().startswith(b"\x89PNG")
