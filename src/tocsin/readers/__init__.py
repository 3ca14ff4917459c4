"""Readers of files that people have: tables, lines, texts and images, and labels of each.

Each reader knows the endings of its files. Numbers, times, durations and units are read as people
write them, whatever file they come from.
"""
