"""The base model, text to tokens and back, and where and how a memory is injected."""
