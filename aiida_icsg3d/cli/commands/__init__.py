"""One file a command; they know the root from its table only."""
