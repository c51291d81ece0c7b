"""Schedulers that AiiDA has, where they lack something that GPU jobs need."""
