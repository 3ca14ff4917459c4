"""Detectors of time series: one file each."""
