"""Crystals as periodic voxel fields: generation, segmentation, rebuilding and screening.

This package is plain numpy and torch. It never imports aiida, and importing it does not import torch.
"""

__version__ = "0.1.0"
