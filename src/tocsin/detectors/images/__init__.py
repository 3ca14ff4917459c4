"""Detectors of images: one file each."""
