"""A run's metrics: read from what its program writes, kept thinned, and answered."""
