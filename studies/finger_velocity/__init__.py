"""Velocity of a finger from spikes of the motor cortex, by small recurrent networks."""
