"""Training definitions and experiments as people stored them: kept, shown, run, deleted."""
