"""What all tests share; its presence puts this folder on the path, for `import samples`."""

from __future__ import annotations

from hypothesis import settings

# A machine that is busy with other workers is no reason to fail; nothing is kept between runs.
settings.register_profile("trainyard", deadline=None, database=None)
settings.load_profile("trainyard")
