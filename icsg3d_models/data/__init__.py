"""Crystals from files, and dataset files."""
