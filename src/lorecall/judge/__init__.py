"""Judges, the pairs they are shown, and people's labels."""
