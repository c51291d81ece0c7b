"""The published metrics, one a file."""
