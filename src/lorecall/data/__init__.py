"""Files -> one user's history -> samples, split in time order."""
