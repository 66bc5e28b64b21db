"""Tokens of users that there are: the simple auth manager believes whatever name and role a signed token has."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager, SimpleAuthManagerRole
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.configuration import conf


class KnownUsers(SimpleAuthManager):
    """Airflow's simple auth manager for users in its list alone, with the role that they have there now."""

    def deserialize_user(self, token: dict[str, Any]) -> SimpleAuthManagerUser:
        """Return the user of a token; raise ValueError, which is a 401, for an unknown user or role."""
        claimed = super().deserialize_user(token)
        if conf.getboolean("core", "simple_auth_manager_all_admins"):
            return claimed
        found = next((user for user in self.get_users() if user.username == claimed.username), None)
        if found is None:
            raise ValueError("there is no such user")
        if not _known(claimed.role) or not _known(found.role):
            raise ValueError("there is no such role")
        return found


def _known(role: Any) -> bool:
    return isinstance(role, str) and role.upper() in SimpleAuthManagerRole.__members__
