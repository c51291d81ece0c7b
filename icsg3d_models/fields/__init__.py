"""Crystal to field: periodic densities on a grid over exactly one cell, for any cell."""
