"""Sources: where a monitor's events come from. One file each."""
