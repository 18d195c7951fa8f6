"""Draw the picture of the README from its own example: python docs/figures/front.py.

Above, the spikes of the trained network in Brian2 and in its mirror; beside them, the loss.
"""

import re
from pathlib import Path
from typing import Any

from matplotlib import pyplot, style

from mirrorneuron.analysis.plot import MIRROR, REFERENCE, STYLE, plot_learning_curve

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
NEURON = 0.38


def example() -> dict[str, Any]:
    """Names that the README's example leaves behind."""
    names: dict[str, Any] = {"__name__": "front"}
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    code = code.replace("print(mn.validate(", "verdict = (mn.validate(")
    exec(code, names)
    return names


def draw(names: dict[str, Any]) -> Any:
    """The figure."""
    verdict, cells = names["verdict"], names["verdict"].comparison.spikes["cells"]
    figure, axes = pyplot.subplot_mosaic(
        [["Brian2", "loss"], ["mirror", "loss"]], figsize=(8, 3.2), width_ratios=(2, 1)
    )
    for side, events, color in (
        ("Brian2", cells.reference, REFERENCE),
        ("mirror", cells.mirror, MIRROR),
    ):
        times = events.step * verdict.comparison.dt * 1e3
        low, high = events.index - NEURON, events.index + NEURON
        axes[side].vlines(times, low, high, color=color, linewidth=0.8)
        axes[side].set(xlim=(0, 500), ylim=(-0.6, cells.n_neurons - 0.4), ylabel=side, yticks=[])
    axes["Brian2"].set_xticklabels([])
    axes["Brian2"].set_title(f"{cells.n_neurons} neurons after training: every spike is the same")
    axes["mirror"].set_xlabel("time (ms)")
    plot_learning_curve(names["fit"].losses, ax=axes["loss"])
    axes["loss"].set_title("loss")
    axes["loss"].set_ylabel("")
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    with style.context(STYLE):
        draw(example()).savefig(HERE / "front.png", facecolor="white", dpi=150)
    print(HERE / "front.png")
