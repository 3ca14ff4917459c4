"""Decisions: scores to p-values to anomalies under a stated false-alarm budget."""
