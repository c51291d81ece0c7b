"""Screening: validity, uniqueness, novelty, predictions and the ranking of candidates."""
