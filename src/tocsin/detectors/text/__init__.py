"""Detectors of texts: one file each."""
