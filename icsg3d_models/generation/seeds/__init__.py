"""How the systems of the seed papers read crystals from their fields."""
