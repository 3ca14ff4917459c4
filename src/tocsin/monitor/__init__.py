"""Monitors: sources, models, alarms and responses, around the clock."""
