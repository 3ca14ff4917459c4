"""Evaluation: metrics, comparisons, plots, reports and benchmark suites."""
