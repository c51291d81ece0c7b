"""How stable a crystal is: formation energies, hulls of competing phases, energy above hull."""
