"""Networks, one a file, each with its configuration class."""
