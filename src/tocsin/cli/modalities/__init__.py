"""What the command line knows of each modality: one file per modality, found by its name."""
