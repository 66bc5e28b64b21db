"""Searches: which trials there are, which point is tried next, what is stopped early, and when it is over."""
