"""Rules of long-term plasticity, one file each."""

from mirrorneuron._registry import Registry

from ._contracts import PlasticityRule, Teaching

plasticity: Registry[PlasticityRule] = Registry(__name__, PlasticityRule)

__all__ = ["PlasticityRule", "Teaching", "plasticity"]
