"""The fields of the seed papers, as published."""
