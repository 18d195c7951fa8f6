import subprocess
import sys
import warnings

import numpy as np
import pytest

from mirrorneuron.analysis import _elephant, statistics, van_rossum
from mirrorneuron.errors import MissingDependency


@pytest.fixture
def without_elephant(monkeypatch):
    """The same installation, but `import elephant` fails."""
    _elephant._packages.cache_clear()
    monkeypatch.setitem(sys.modules, "elephant", None)
    monkeypatch.setitem(sys.modules, "elephant.conversion", None)
    yield
    _elephant._packages.cache_clear()


def test_without_elephant_the_error_says_what_to_install(without_elephant):
    with pytest.raises(MissingDependency, match=r"pip install 'mirrorneuron\[validate\]'"):
        van_rossum(np.array([0.1]), np.array([0.2]))
    with pytest.raises(MissingDependency, match="elephant"):
        statistics["cv"](np.ones((5, 1), dtype=bool), 1e-3)


def test_deprecation_warnings_end_in_the_adapter():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _elephant.correlation_coefficient([np.array([0.1]), np.array([])], 0.1, 10)
    assert not caught


def test_importing_analysis_imports_neither_elephant_nor_matplotlib_nor_torch():
    names = "elephant", "neo", "quantities", "matplotlib.pyplot", "torch"
    code = (
        "import importlib.util, sys\n"
        "before = set(sys.modules)\n"
        "import mirrorneuron.errors\n"
        "known = set(sys.modules)\n"
        "import mirrorneuron.analysis\n"
        f"print(sorted(set({names!r}) & (set(sys.modules) - known)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
