"""What reads files of people: tables, labels, logs and texts, in any of their formats."""
