"""The keys of a store: of people and records, the root above them, and what was destroyed."""
