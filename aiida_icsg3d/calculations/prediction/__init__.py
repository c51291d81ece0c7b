"""Crystal structure prediction as one job."""
