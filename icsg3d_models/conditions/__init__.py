"""What can be asked of a crystal."""
