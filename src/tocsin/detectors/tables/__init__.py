"""Detectors for tables: numeric matrices (n, d)."""
