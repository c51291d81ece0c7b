"""What the encoding alone keeps, without a network."""
