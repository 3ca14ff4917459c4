"""Plots as SVG or PNG, without global state of matplotlib."""
