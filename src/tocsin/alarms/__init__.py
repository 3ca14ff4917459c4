"""Alarms: episodes of anomalies, their life, and who is notified. Pure: no clock, no store."""
