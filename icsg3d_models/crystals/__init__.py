"""Crystals and what is known of them without any network."""
