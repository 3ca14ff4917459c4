"""Detectors: one folder a modality, one file a detector."""
