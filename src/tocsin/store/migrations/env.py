"""What Alembic runs: the versions, on the connection that it is given."""

from alembic import context

from tocsin.store.schema import VERSION_TABLE, metadata

# There is a configuration only while Alembic runs this file, not when it is imported.
if hasattr(context, "config"):
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        version_table=VERSION_TABLE,
    )
    context.run_migrations()
