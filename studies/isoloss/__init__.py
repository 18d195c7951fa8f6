"""Implicit variance regularisation without negative samples: eigenvalues, collapse, IsoLoss."""
