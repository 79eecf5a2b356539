"""Does it know me: what a memory knows of its person, what it makes up, and what it broke."""
