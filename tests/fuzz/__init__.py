"""Hostile input made from a seed: manifests, zips and requests, and the judges of what becomes of them."""
