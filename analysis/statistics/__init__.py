"""Statistics of single neurons, one file each: `statistics["cv2"](spikes, dt)`."""

from mirrorneuron._registry import Registry

from .._contracts import Statistic

__all__ = ["statistics"]

statistics: Registry[Statistic[...]] = Registry("mirrorneuron.analysis.statistics", Statistic)
