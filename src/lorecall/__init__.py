"""Personal memory for language models, kept in the weights."""
