"""Faults at random under load: `make test-faults`, replayable by its seed, judged by the invariants of the service."""
