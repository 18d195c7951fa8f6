"""Time of a six-muscle arm, forward and backward: our mirror beside MotorNet 0.3.

    python benchmarks/plant.py [--motornet PYTHON] [--batch 1 64 1024] [--steps 30] [--repeats 7]
        [--rounds 5]

Both take the arm of Nijhof & Kouwenhoven with rigid tendons in Euler steps of 1 ms, float32, one
thread: excitations of all steps in, the last angles out, gradient of their squares by the
excitations. MotorNet lives in an environment of its own, is never imported here, and runs in a
process of its own:

    python -m venv /tmp/motornet && /tmp/motornet/bin/pip install motornet==0.3.0

Both are measured in turn, `rounds` times, as other work on the machine comes and goes. The table
shows medians over all repeats in milliseconds a step, and the median over rounds of what MotorNet
takes over what we take.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

os.environ["OMP_NUM_THREADS"] = "1"

MOTORNET = """
import json, sys, time
import torch
import motornet
torch.set_num_threads(1)
batches, steps, repeats = json.loads(sys.argv[1])
out = []
for batch in batches:
    arm = motornet.effector.RigidTendonArm26(
        muscle=motornet.muscle.RigidTendonHillMuscleThelen(), timestep=0.001,
        integration_method="euler",
    )
    def run(backward):
        u = torch.full((steps, batch, 6), 0.2, requires_grad=backward)
        arm.reset(options={"batch_size": batch, "joint_state": torch.tensor([[0.7, 1.2, 0.0, 0.0]]).repeat(batch, 1)})
        start = time.perf_counter()
        if backward:
            for k in range(steps):
                arm.step(u[k])
            arm.states["joint"][:, :2].square().sum().backward()
        else:
            with torch.no_grad():
                for k in range(steps):
                    arm.step(u[k])
        return (time.perf_counter() - start) / steps * 1e3
    run(True)
    out.append([[run(False) for _ in range(repeats)], [run(True) for _ in range(repeats)]])
print(json.dumps(out))
"""  # noqa: E501


def ours(batches: list[int], steps: int, repeats: int) -> list[list[list[float]]]:
    """Milliseconds a step of the mirror: for each batch, forward and with backward."""
    import torch
    from brian2 import BrianLogger, Network, ms, prefs

    import mirrorneuron as mn

    torch.set_num_threads(1)
    prefs.codegen.target = "numpy"
    BrianLogger.log_level_error()
    arm = mn.muscle.plants["arm26_nijhof"].build(excitation="input", curves="thelen", dt=1 * ms)
    model = mn.mirror(Network(*arm.objects), dtype=torch.float32)

    def run(batch: int, backward: bool) -> float:
        u = torch.full((steps, batch, 6), 0.2, requires_grad=backward)
        start = time.perf_counter()
        with torch.set_grad_enabled(backward):
            state = model.run_steps(steps, {"muscles.excitation": u}).state
            if backward:
                state["joints.angle"].square().sum().backward()
        return (time.perf_counter() - start) / steps * 1e3

    times = []
    for batch in batches:
        run(batch, True)
        times.append([[run(batch, backward) for _ in range(repeats)] for backward in (False, True)])
    return times


def theirs(python: Path, batches: list[int], steps: int, repeats: int) -> list[list[list[float]]]:
    """The same of MotorNet."""
    settings = json.dumps([batches, steps, repeats])
    done = subprocess.run(
        [python, "-W", "ignore", "-c", MOTORNET, settings], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"MotorNet cannot run with {python}:\n{done.stderr[-400:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--motornet", type=Path, default=Path("/tmp/motornet/bin/python"))
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64, 1024])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    settings = (given.batch, given.steps, given.repeats)
    mine, other = [], []
    for _ in range(given.rounds):
        mine.append(ours(*settings))
        if given.motornet.exists():
            other.append(theirs(given.motornet, *settings))
    print(
        f"{'batch':>6} {'what':>18} {'mirror':>9} {'MotorNet':>9} {'ratio':>6}   ms a step, medians"
    )
    for k, batch in enumerate(given.batch):
        for j, what in enumerate(("forward", "forward + backward")):
            left, right = ([median(times[k][j]) for times in found] for found in (mine, other))
            pairs = zip(left, right, strict=False)
            ratio = median([b / a for a, b in pairs]) if right else float("nan")
            beside = median(right) if right else float("nan")
            print(f"{batch:>6} {what:>18} {median(left):>9.3f} {beside:>9.3f} {ratio:>6.2f}")


if __name__ == "__main__":
    main()
