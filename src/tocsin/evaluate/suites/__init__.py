"""Benchmark suites: one file per modality, found by the registry."""
