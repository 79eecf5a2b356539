"""What may be left of what was forgotten, and where it is looked for."""
