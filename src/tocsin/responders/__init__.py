"""Responders: who is told of an alarm, and what is done about it. One file each."""
