"""Networks on which mirror and Brian2 have to agree, by what they show.

Each theme is a module of its own, `networks_THEME.py`: a file in this folder is the registration.
Whoever adds a feature adds a network to one of them; `registry.py` says what an entry states.
"""

from importlib import import_module
from pathlib import Path

from registry import Entry, networks

for path in sorted(Path(__file__).parent.glob("networks_*.py")):
    import_module(path.stem)

__all__ = ["Entry", "networks"]
