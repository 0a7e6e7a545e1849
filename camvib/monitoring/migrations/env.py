"""Alembic runs this: on the connection, and in the transaction, that `camvib.monitoring.database` opened."""

from alembic import context

from camvib.monitoring.database import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    evidence=context.config.attributes.get("evidence"),
)
context.run_migrations()
