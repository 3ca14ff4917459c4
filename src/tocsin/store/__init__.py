"""Storage: model folders; events, alarms, notifications and offsets in SQLite or PostgreSQL."""
