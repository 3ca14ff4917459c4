"""Detectors: one folder per modality, one file per detector.

>>> from tocsin import detectors
>>> "vae" in detectors.names("tables")
True
"""

from tocsin.registry import create, find, modalities, names

__all__ = ["create", "find", "modalities", "names"]
