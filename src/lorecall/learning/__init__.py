"""The use case: a history in, a memory and what it changed out."""
