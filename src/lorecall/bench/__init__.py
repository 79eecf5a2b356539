"""The evaluation: systems x users x seeds, cell by cell, and the tables made of it."""
