"""Alarms: episodes of anomalies, their life, and who hears of them. Pure: no clock, no store."""
