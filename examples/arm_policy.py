"""A policy of your own for an arm with delays: python examples/arm_policy.py."""

import sys

import torch
from brian2 import ms

import mirrorneuron as mn

STEPS, DURATION = (2, 100 * ms) if "--quick" in sys.argv else (60, 600 * ms)
torch.manual_seed(0)
arm = mn.ArmBatch(
    "elbow_pair",
    "hold",
    sense=["angle", "velocity"],
    duration=DURATION,
    control_step=20 * ms,
    dt=2 * ms,
    sensory_delay=20 * ms,
    motor_delay=20 * ms,
)
policy = torch.nn.Sequential(
    torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2), torch.nn.Sigmoid()
)
scale = torch.tensor([1.0, 0.1, 1.0])
optimizer = torch.optim.Adam(policy.parameters(), lr=0.02)
for step in range(STEPS):
    seen, rewards = arm.reset(8, seed=8 * step), []
    for _ in range(arm.arm.steps):
        outcome = arm.step(policy(seen * scale))
        seen = outcome.observation
        rewards.append(outcome.reward)
    reward = torch.stack(rewards).mean()
    optimizer.zero_grad()
    (-reward).backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimizer.step()
    if step in (0, STEPS - 1):
        print(f"step {step}: reward {reward.item():.4f}")
