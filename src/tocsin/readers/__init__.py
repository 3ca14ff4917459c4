"""Readers of people's files: tables, labels, logs, texts and images, in any of their formats."""
