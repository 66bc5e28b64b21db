"""What the REST interface answers, as models: the api writes them, the client reads them.

The api keeps to them and documents them. Reading is tolerant: what a newer service reports besides is kept under its
name, and what an older one does not report yet has its default.
"""
