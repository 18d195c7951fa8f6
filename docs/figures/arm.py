"""Film the arm of the tutorial, without a controller and with the trained one: a GIF.

python docs/figures/arm.py
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import ms, second
from PIL import Image

import mirrorneuron as mn

HERE = Path(__file__).parent
TUTORIAL = HERE.parent / "tutorials" / "arm.md"


def trained() -> dict[str, Any]:
    """Names that the tutorial leaves behind."""
    cells = re.findall(r"```\{code-cell\}[^\n]*\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "arm"}
    exec("\n".join(cells), names)
    return names


def film(act: Any) -> list[np.ndarray]:
    """A picture of each control step of one trial."""
    env = mn.ArmEnv(
        sense=["angle", "velocity"], duration=0.8 * second, control_step=20 * ms, dt=2 * ms,
        sensory_delay=20 * ms, render_mode="rgb_array",
    )  # fmt: skip
    seen, _ = env.reset(seed=0, options={"angle": [0.5]})
    frames = [env.render()]
    for _ in range(env.arm.steps):
        seen = env.step(act(seen))[0]
        frames.append(env.render())
    return frames


if __name__ == "__main__":
    names = trained()

    def policy(seen: Any) -> Any:
        """What the trained network does."""
        with torch.no_grad():
            return names["policy"](torch.as_tensor(seen) * names["scale"]).numpy()

    pairs = zip(film(lambda seen: [0.0, 0.0]), film(policy), strict=True)
    images = [Image.fromarray(np.concatenate(pair, axis=1)).quantize(32) for pair in pairs]
    path = HERE / "arm.gif"
    images[0].save(path, save_all=True, append_images=images[1:], duration=60, loop=0)
    print(path, f"{path.stat().st_size / 1e3:.0f} kB, {len(images)} frames")
