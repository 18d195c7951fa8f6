"""The public names: listed, sorted, documented."""

import subprocess
import sys
from pathlib import Path

import pytest

import mirrorneuron as mn


def test_all_is_sorted_and_complete() -> None:
    assert mn.__all__ == sorted(
        mn.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    public = {name for name in dir(mn) if not name.startswith("_")}
    modules = {path.stem for path in Path(mn.__file__).parent.iterdir()}
    lazily = {"ArmEnv", "ArmVectorEnv"}  # with gymnasium
    assert public - (modules - set(mn.__all__)) - lazily == set(mn.__all__)
    assert set(mn._HOME) | set(mn._MODULES) == {*mn.__all__, *lazily, "errors"}


def test_a_name_is_imported_when_it_is_asked_for_and_no_sooner() -> None:
    heavy = ("torch", "brian2", "scipy", "matplotlib")
    code = (
        "import sys, mirrorneuron as mn\n"
        f"assert not {heavy} & sys.modules.keys(), 'at once'\n"
        "mn.mirror, mn.fit, mn.validate, mn.SuperSpike, mn.errors.UnitError\n"
        "assert 'scipy.signal' not in sys.modules and 'scipy.stats' not in sys.modules\n"
        "assert mn.analysis.plot.plot_raster\n"
        "assert 'mirror' in dir(mn) and mn.mirror is mn.bridge.mirror.mirror\n"
    ).replace(str(heavy), f"set({heavy})")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'miror'"):
        mn.miror  # noqa: B018


def test_every_public_name_has_a_docstring() -> None:
    for name in mn.__all__:
        assert getattr(mn, name).__doc__, name
