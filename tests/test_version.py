"""The version: one number, wherever it is written."""

import re
import tomllib
from pathlib import Path

import pytest

import mirrorneuron as mn

ROOT = Path(__file__).parents[1]


def test_the_package_has_the_version_of_its_metadata() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["project"]["version"] == mn.__version__


@pytest.mark.parametrize(
    ("file", "pattern"),
    [("CHANGELOG.md", r"^## \[(\d\S*)\]"), ("CITATION.cff", r"^version: (\S+)")],
)
def test_a_text_speaks_of_the_present_version(file: str, pattern: str) -> None:
    found = re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)
    assert found is not None
    assert found[1] == mn.__version__
