"""Makes gymnasium know the arms by name, without importing what they need.

An entry point of the package: gymnasium calls `register_environments` when it is imported.
"""

NAME = "mirrorneuron/Arm-v0"


def register_environments() -> None:
    """Register `gymnasium.make("mirrorneuron/Arm-v0")`, once."""
    from gymnasium.envs.registration import register, registry

    if NAME not in registry:
        register(
            NAME,
            entry_point="mirrorneuron.gym:ArmEnv",
            vector_entry_point="mirrorneuron.gym:ArmVectorEnv",
        )
