"""The systems of the seed papers as presets of the stages, see docs/seeds.md."""
