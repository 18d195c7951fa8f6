"""Reproductions and uses, one file each; what `mirrorneuron run` runs."""

if __name__ == "studies":
    raise ImportError(
        "import studies: this folder is one package only. Write import mirrorneuron.studies."
    )

from mirrorneuron._registry import Registry

from ._contracts import Metric, Result, Study

studies: Registry[type[Study]] = Registry(__name__, Study)

__all__ = ["Metric", "Result", "Study", "studies"]
