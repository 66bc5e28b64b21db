"""Where in Airflow's database a text stands in the clear."""

from __future__ import annotations


def columns_with(session_of, needle):
    """Return the columns of Airflow's database that hold a text, as `table.column`."""
    from airflow.models.base import Base
    from sqlalchemy import text

    with session_of() as session:
        tables = [table.name for table in Base.metadata.sorted_tables]
        rows = {name: session.execute(text(f'SELECT * FROM "{name}"')).mappings().all() for name in tables}
    return {
        f"{name}.{column}"
        for name, all_rows in rows.items()
        for row in all_rows
        for column in row
        if needle in str(row[column])
    }
