"""What a run is and what it measured, told to a tracking server that others look at."""
