"""Reports and pictures of what was detected: one file per modality, found by the registry."""
