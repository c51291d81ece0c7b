"""What was computed of relaxed candidates beyond their energies, read from the graph."""
