"""Latents to fields, fields to crystals."""
