"""Responders: who is notified of an alarm, and what is done about it. One file each."""
