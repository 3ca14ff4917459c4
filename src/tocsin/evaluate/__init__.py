"""Evaluation: metrics, comparisons, held-out protocols and benchmark suites."""
