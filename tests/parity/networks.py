"""Networks on which mirror and Brian2 have to agree, by what they show.

Each theme is a module of its own, `networks_THEME.py`: a file in this folder is the registration.
Whoever adds a feature adds a network to one of them; `registry.py` says what an entry states.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from registry import Entry, networks

for path in sorted(Path(__file__).parent.glob("networks_*.py")):
    import_module(path.stem)


def every() -> list[Any]:
    """Names of all networks; those of the cerebellum, which take longest, are slow tests."""
    slow = pytest.mark.slow
    return [pytest.param(n, marks=slow) if n.startswith("cerebellum") else n for n in networks]


__all__ = ["Entry", "every", "networks"]
