"""One file a dataset or chat export."""
