"""E-GLIF cells refitted to the physiological sign of the leak."""
