"""Detectors of log sessions, a single line being a session of one: one file each."""
