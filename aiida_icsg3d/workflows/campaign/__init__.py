"""Rounds of discovery, each with what the ones before it found: in its data, in its models, in what it leaves out."""
