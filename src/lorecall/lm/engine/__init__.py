"""The fast path through a base, and the plain one it is tested against."""
