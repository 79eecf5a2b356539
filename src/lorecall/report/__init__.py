"""What a run found, shown: on the terminal, on a page, and how far it is while it runs."""
