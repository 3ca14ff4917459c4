"""Features: pure functions of arrays and texts, and what they learn from them."""
