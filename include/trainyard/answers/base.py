"""What all answers have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

# A moment as RFC 3339 in UTC, to the second.
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Answer(BaseModel):
    """What all answers have in common."""

    model_config = ConfigDict(extra="allow")

    def as_data(self) -> dict[str, Any]:
        """Return the answer as JSON data, with what the service reported and nothing else."""
        return self.model_dump(mode="json", exclude_unset=True)


class Whole(Answer):
    """An answer that always has all of its fields."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Page(Whole):
    """A page of a list; `total` counts all that there are."""

    total: int
    limit: int = 0
    offset: int = 0
