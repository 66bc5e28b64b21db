"""What a run is and what it measured, reported to a tracking server that others look at."""
