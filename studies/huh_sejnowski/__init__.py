"""Two tasks learnt by exact gradients of networks whose synapses are differentiable."""
