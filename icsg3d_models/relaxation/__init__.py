"""Crystals relaxed by machine-learned potentials: energies, distances moved, phonons."""
