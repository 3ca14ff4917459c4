"""Storage: model folders."""
