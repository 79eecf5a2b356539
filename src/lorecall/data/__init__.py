"""Files -> events -> one user's history (or a pool of users) -> samples, split in time order."""
