"""Airflow's own pages and REST for members of accounts: they see the trainings of their accounts and nothing else."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
from airflow.api_fastapi.auth.managers.models.resource_details import (
    AccessView,
    DagAccessEntity,
    DagDetails,
    PoolDetails,
)
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager, SimpleAuthManagerRole
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.common.types import MenuItem
from airflow.configuration import conf

from trainyard.airflow.app import current_app

if TYPE_CHECKING:  # a manager whose methods are not abstract, so that they may be called from here
    Narrowed = SimpleAuthManager
else:
    Narrowed = BaseAuthManager

# Whether the request that is being answered has passed the guard of members' changes (api/guards/members.py).
CHANGE_PERMITTED: ContextVar[bool] = ContextVar("trainyard_change_permitted", default=False)

# What shows the work of all accounts at once: files that name no DAG when they do not parse, and the machinery.
# The view of plugins is everybody's: Airflow's UI asks there which pages of ours to show. Its menu item is an admin's.
_VIEWS_OF_ADMINS = {
    AccessView.IMPORT_ERRORS,
    AccessView.JOBS,
    AccessView.PROVIDERS,
    AccessView.TRIGGERS,
}
_MENU_OF_ADMINS = {
    MenuItem.AUDIT_LOG,
    MenuItem.CONFIG,
    MenuItem.CONNECTIONS,
    MenuItem.JOBS,
    MenuItem.PLUGINS,
    MenuItem.POOLS,
    MenuItem.PROVIDERS,
    MenuItem.VARIABLES,
}


def is_admin(manager: BaseAuthManager[Any], user: Any) -> bool:
    """Say whether a user is an admin here: whoever may change pools, since a pool is an account's quota."""
    return manager.is_authorized_pool(method="PUT", user=user, details=PoolDetails(name="default_pool"))


class OwnAccountsOnly(Narrowed):
    """Narrows any auth manager: what it allows a member is allowed for the trainings of the member's accounts.

    Put it before the auth manager: `class Ours(OwnAccountsOnly, FabAuthManager)`.
    """

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: DagAccessEntity | None = None, details: DagDetails | None = None
    ) -> bool:
        allowed = super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
        if not allowed or is_admin(self, user):
            return bool(allowed)
        if method != "GET" and not CHANGE_PERMITTED.get():
            return False
        if details is None or details.id is None:
            return _of_all_dags(method, access_entity)
        return bool(self._own({details.id}, user))

    def filter_authorized_dag_ids(
        self, *, dag_ids: set[str], user: Any, method: Any = "GET", team_name: str | None = None
    ) -> set[str]:
        if is_admin(self, user):
            return super().filter_authorized_dag_ids(dag_ids=dag_ids, user=user, method=method, team_name=team_name)
        return self._own(dag_ids, user) if self.is_authorized_dag(method=method, user=user) else set()

    def is_authorized_asset(self, *, method: Any, user: Any, details: Any = None) -> bool:
        allowed = super().is_authorized_asset(method=method, user=user, details=details)
        return allowed and (method == "GET" or is_admin(self, user))

    def is_authorized_asset_alias(self, *, method: Any, user: Any, details: Any = None) -> bool:
        allowed = super().is_authorized_asset_alias(method=method, user=user, details=details)
        return allowed and (method == "GET" or is_admin(self, user))

    def is_authorized_connection(self, *, method: Any, user: Any, details: Any = None) -> bool:
        allowed = super().is_authorized_connection(method=method, user=user, details=details)
        return allowed and is_admin(self, user)

    def is_authorized_variable(self, *, method: Any, user: Any, details: Any = None) -> bool:
        return super().is_authorized_variable(method=method, user=user, details=details) and is_admin(self, user)

    def is_authorized_hitl_task(self, *, assigned_users: Any, user: Any) -> bool:
        return super().is_authorized_hitl_task(assigned_users=assigned_users, user=user) and is_admin(self, user)

    def is_authorized_pool(self, *, method: Any, user: Any, details: PoolDetails | None = None) -> bool:
        """Show pools to those who may change them: they say what other accounts own and use."""
        return super().is_authorized_pool(method="PUT" if method == "GET" else method, user=user, details=details)

    def is_authorized_configuration(self, *, method: Any, user: Any, details: Any = None) -> bool:
        return super().is_authorized_configuration(method=method, user=user, details=details) and is_admin(self, user)

    def is_authorized_view(self, *, access_view: AccessView, user: Any) -> bool:
        allowed = super().is_authorized_view(access_view=access_view, user=user)
        return allowed and (access_view not in _VIEWS_OF_ADMINS or is_admin(self, user))

    def filter_authorized_menu_items(self, menu_items: list[MenuItem], *, user: Any) -> list[MenuItem]:
        allowed = super().filter_authorized_menu_items(menu_items, user=user)
        return allowed if is_admin(self, user) else [item for item in allowed if item not in _MENU_OF_ADMINS]

    def _own(self, dag_ids: set[str], user: Any) -> set[str]:
        """Return those of the DAGs that are trainings of the user's accounts; the service's own DAGs are not."""
        mine = {account.name for account in current_app().limits().accounts_of(user.get_name())}
        records = map(current_app().catalogue.get, dag_ids)
        return {record.id for record in records if record and record.account in mine}


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


class AccountAuthManager(OwnAccountsOnly, KnownUsers):
    """Airflow's simple auth manager, narrowed and for users that there are.

    Members have its role `user`, admins `admin` (or `op`).
    """


def _of_all_dags(method: Any, access_entity: DagAccessEntity | None) -> bool:
    """Say whether a member may ask about no DAG in particular: where Airflow filters the answer by DAG."""
    if method == "GET":
        # Events of no DAG, such as a connection that was made, are listed to whoever may ask for all.
        return access_entity is not DagAccessEntity.AUDIT_LOG
    return access_entity is None


def _known(role: Any) -> bool:
    return isinstance(role, str) and role.upper() in SimpleAuthManagerRole.__members__
