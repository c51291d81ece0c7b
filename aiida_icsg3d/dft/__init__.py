"""What relaxes a crystal by density functional theory."""
