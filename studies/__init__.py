"""Reproductions of papers and applications, each with settings, targets and a report."""

if __name__ == "studies":
    raise ImportError(
        "import studies: this folder is one package only. Write import mirrorneuron.studies."
    )

from mirrorneuron._registry import Registry

from ._contracts import Metric, Result, Study

studies: Registry[type[Study]] = Registry(__name__, Study)

__all__ = ["Metric", "Result", "Study", "studies"]
