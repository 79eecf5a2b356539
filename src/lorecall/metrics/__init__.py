"""Scores of responses, their intervals and their signatures."""
