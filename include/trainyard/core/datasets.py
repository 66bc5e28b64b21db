"""Which datasets the cache has, as far as a caller may know of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trainyard.core.accounts import Caller, may_see
from trainyard.core.catalogue import Catalogue
from trainyard.domain.limits import Limits
from trainyard.workspace.datasets import Cached
from trainyard.workspace.layout import store_key


@dataclass(frozen=True)
class Datasets:
    """The use case over its ports; `cached` returns the versions of all buckets."""

    catalogue: Catalogue
    limits: Callable[[], Limits]
    cached: Callable[[], Sequence[Cached]]

    def of(self, caller: Caller) -> list[Cached]:
        """Return the versions of the buckets that trainings of the caller's accounts read, an admin's all."""
        found = list(self.cached())
        if caller.admin:
            return found
        mine = self._buckets(caller)
        return [each for each in found if each.key in mine]

    def _buckets(self, caller: Caller) -> set[str]:
        limits = self.limits()
        trainings = self.catalogue.trainings()
        return {store_key(each.spec.data) for each in trainings if may_see(caller, each.account, limits)}
