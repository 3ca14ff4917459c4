"""Collection: where data comes from, one file a source."""
