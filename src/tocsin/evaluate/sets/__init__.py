"""Labelled data sets in folders, as benchmark suites read them."""
