"""Training of the networks of the seed papers, with their losses."""
