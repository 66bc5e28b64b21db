"""The service over HTTP: one typed client, and the Python API that is made of it."""
