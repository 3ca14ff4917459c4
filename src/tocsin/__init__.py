"""Tocsin: learns what is normal, says what does not belong, how sure it is and why."""
