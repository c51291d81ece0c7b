"""One network together with its data, one a file."""
