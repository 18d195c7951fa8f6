"""Event-driven runs of any network whose spikes are crossings, and their exact gradients."""
