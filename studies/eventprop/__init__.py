"""The Yin-Yang task learnt by exact gradients of spike times, beside surrogate gradients."""
