"""Pipelines as monitors use them: one file per modality, found by its name.

Other packages register theirs with an entry point named like the modality in the group
``tocsin.monitor.scorers``.
"""

from tocsin.monitor.scorers.base import Description, Scorer, column_texts, sentence

__all__ = ["Description", "Scorer", "column_texts", "sentence"]
