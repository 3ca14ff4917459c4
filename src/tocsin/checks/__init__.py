"""The public contract that every detector passes."""
