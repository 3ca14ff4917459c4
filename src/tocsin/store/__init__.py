"""Storage: model folders; events, alarms, notices and offsets in SQLite or PostgreSQL."""
