"""A run in the terminal: its progress and how it is interrupted."""
