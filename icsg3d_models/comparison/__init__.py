"""When two crystals are the same."""
