"""A run while it goes on, or after it broke off: how far, how long, what waits and what failed."""
