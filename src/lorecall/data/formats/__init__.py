"""One file a dataset or chat export: a module whose `LOADER` says what it is and how it is read."""
