"""Promised against measured false-alarm rates on unseen normal data."""
