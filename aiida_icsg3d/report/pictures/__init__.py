"""Drawings of crystals, fields and provenance."""
