"""Linear probe: how well a linear classifier reads the classes from fixed features."""

import numpy as np
import torch
from jaxtyping import Float, Int


def linear_probe(
    features: Float[np.ndarray, "sample feature"],
    labels: Int[np.ndarray, " sample"],
    test_features: Float[np.ndarray, "other feature"],
    test_labels: Int[np.ndarray, " other"],
    penalty: float = 1e-4,
    updates: int = 100,
) -> float:
    """Share of the test that multinomial logistic regression classifies correctly.

    Features are standardised by mean and deviation over the training. The fit is convex: L-BFGS on
    the mean cross-entropy plus `penalty` times half the squared weights.

    Arguments:
        features, labels: Of the training.
        test_features, test_labels: Of the test.
        penalty: Of the weights [1].
        updates: Maximum number of iterations.
    """
    mean, spread = features.mean(0), features.std(0)
    scale = np.where(spread > 1e-12, spread, 1.0)
    x = torch.from_numpy((features - mean) / scale).double()
    y = torch.from_numpy(labels)
    weights = torch.zeros(x.shape[1] + 1, int(labels.max()) + 1, dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=updates, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        found = torch.nn.functional.cross_entropy(x @ weights[1:] + weights[0], y)
        found = found + penalty / 2 * weights[1:].square().sum()
        found.backward()
        return found

    optimizer.step(loss)
    w = weights.detach().numpy()
    answer = (((test_features - mean) / scale) @ w[1:] + w[0]).argmax(1)
    return float(np.mean(answer == test_labels))
