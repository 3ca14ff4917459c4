"""A modality of another package: beats, each a list of intervals in seconds."""
