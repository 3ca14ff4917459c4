"""Explanations: which part of an item made it anomalous."""
