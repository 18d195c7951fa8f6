"""An auditory receptor of the grasshopper, fitted to one recording and tested on another."""
