"""Published cells, one file a family: a paper's table of parameters for the models of `neurons`."""

from mirrorneuron._registry import Registry

from ._contracts import Cell, Claim, Family

cells: Registry[Family] = Registry(__name__, Family)

__all__ = ["Cell", "Claim", "Family", "cells"]
