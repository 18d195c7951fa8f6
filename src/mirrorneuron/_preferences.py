"""Preferences: a file in the current folder that Brian2 evaluates when it is imported."""

import os
import sys
import warnings
from pathlib import Path

from ._callers import callers_level
from .errors import DomainError

NAME = "brian_preferences"
SWITCH = "MIRRORNEURON_PREFERENCES"


def look(refuse: bool = False) -> None:
    """Say that there is such a file before Brian2 reads it, or refuse it.

    Arguments:
        refuse: Whether to refuse it; so does "refuse" in the variable of the environment.

    Raises:
        DomainError: There is one, and it is refused.
    """
    path = Path.cwd() / NAME
    if not path.is_file():
        return
    when = "has evaluated" if "brian2" in sys.modules else "evaluates, as Python, at its import"
    found = f"The file {path} is one that Brian2 {when}."
    if refuse or os.environ.get(SWITCH) == "refuse":
        raise DomainError(
            f"import mirrorneuron: {found} It is refused here. Move it away, start in another"
            f" folder, or leave out {SWITCH}=refuse (of the command: --no-preferences)."
        )
    warnings.warn(
        f"{found} It may change every result, and do anything that Python can. Remove it if it is"
        f" not yours, or set {SWITCH}=refuse.",
        RuntimeWarning,
        stacklevel=callers_level(),
    )
