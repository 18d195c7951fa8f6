"""From a Brian2 network to a differentiable torch module, and back."""

if __name__ == "bridge":
    raise ImportError("Import mirrorneuron.bridge: a second copy would have classes of its own.")
