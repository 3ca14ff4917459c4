"""Preparation: raw data to what detectors take, one file a modality."""
