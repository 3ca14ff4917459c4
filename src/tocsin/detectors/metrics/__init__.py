"""Detectors of metrics: one file each."""
