"""Parsers: one a stage of `icsg3d`; they read retrieved files and nothing else."""
