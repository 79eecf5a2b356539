"""Query in, response out, with a memory or without."""
