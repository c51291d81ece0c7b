"""The networks of the seed papers, as published, one a file."""
