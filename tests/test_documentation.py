"""The documentation says what is so: its code runs, its pages are complete, and it builds."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib import pyplot

import mirrorneuron as mn

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GUIDE = sorted(page.stem for page in (DOCS / "guide").glob("*.md"))
TUTORIALS = sorted(page.stem for page in (DOCS / "tutorials").glob("*.md") if page.stem != "index")
SLOW = {"arm", "cerebellum", "first_fit", "genn", "rates", "recording"}


def blocks(page: Path, kind: str) -> str:
    """Code of a page, one block after the other."""
    return "\n".join(re.findall(rf"```{kind}\n(.*?)```", page.read_text(), re.DOTALL))


def execute(code: str, page: Path) -> dict[str, Any]:
    """Names that the code of a page leaves behind."""
    names: dict[str, Any] = {"__name__": page.stem}
    try:
        exec(compile(code, str(page), "exec"), names)
    finally:
        pyplot.close("all")
    return names


@pytest.mark.parametrize("name", GUIDE)
def test_the_code_of_a_guide_page_runs_and_prints_what_the_page_shows(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    page = DOCS / "guide" / f"{name}.md"
    execute(blocks(page, "python"), page)
    printed = capsys.readouterr().out
    for shown in re.findall(r"```text\n(.*?)```", page.read_text(), re.DOTALL):
        assert shown in printed


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in TUTORIALS]
)
def test_a_tutorial_runs_and_shows_what_it_says(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    page = DOCS / "tutorials" / f"{name}.md"
    if name == "snntorch":
        pytest.importorskip("snntorch", reason="the extra 'docs' is not installed")
    FINDINGS.get(name, lambda names: None)(execute(blocks(page, r"\{code-cell\} ipython3"), page))


def classified(names: dict[str, Any]) -> None:
    """Nearly all test patterns are told apart; Brian2 and a process without it decide as here."""
    assert names["accuracy"](names["testing"]) > 0.9
    assert names["agree"] == 10
    with torch.no_grad():
        assert torch.equal(torch.load("scores.pt"), names["scores"](names["patterns"]))


def at_its_rates(names: dict[str, Any]) -> None:
    """Both rates are nearer to their targets, within a quarter."""
    for group, wanted in names["wanted"].items():
        assert abs(names["after"].rates()[group] / float(wanted) - 1) < 0.25


def recovered(names: dict[str, Any]) -> None:
    """The parameters of the recorded neuron are found again."""
    for key, true in names["truth"].items():
        assert names["model"].parameter(f"cell.{key}").item() == pytest.approx(
            float(true), rel=0.05
        )


def identical(names: dict[str, Any]) -> None:
    """Spikes of the two backends are the same."""
    assert len(names["ours"].step) == len(names["theirs"].step) > 100


def upright(names: dict[str, Any]) -> None:
    """The trained policy holds the forearm nearly upright."""
    assert float(names["late"]) < 6


def learnt(names: dict[str, Any]) -> None:
    """The network fires at its target, and equals Brian2."""
    assert names["after"].rates()["cells"] == pytest.approx(40, abs=4)
    assert names["verdict"].ok


FINDINGS = {
    "arm": upright,
    "classifier": classified,
    "first_fit": learnt,
    "genn": identical,
    "rates": at_its_rates,
    "recording": recovered,
}


def test_the_example_of_the_cerebellum_makes_a_network_that_learns() -> None:
    page = DOCS / "gallery" / "cerebellum.md"
    code = blocks(page, "python").replace("scale=0.2", "scale=0.02")
    names: dict[str, Any] = {"mn": mn}
    exec(code, names)
    network, factor = names["network"], names["circuit"].wiring["parallel_purkinje"].factor
    assert network["parallel_purkinje"].A_plus_[:] == pytest.approx(0.001e-9 * factor)


def test_every_public_name_is_in_the_api_pages() -> None:
    pages = "".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    shown = set(re.findall(r"auto(?:function|class|exception):: mirrorneuron\.(\w+)$", pages, re.M))
    modules = {
        "analysis",
        "bio",
        "data",
        "init",
        "losses",
        "muscle",
        "surrogates",
    }  # pages of their own
    assert set(mn.__all__) - modules <= shown
    for name in ("analysis", "bio", "muscle"):
        assert f"mn.{name}" in pages


def test_every_decision_and_figure_page_is_linked() -> None:
    listed = (DOCS / "gallery" / "index.md").read_text()
    pages = {page.stem for page in (DOCS / "gallery").glob("*.md")} - {"index"}
    assert {name for name in pages if f"\n{name}\n" not in listed} == set()


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("myst_nb", reason="the extra 'docs' is not installed")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-D", "nb_execution_mode=off", DOCS, tmp_path],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )  # the notebooks are executed by the tests above, where warnings are errors
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tutorials" / "first_fit.html").stat().st_size > 10_000
