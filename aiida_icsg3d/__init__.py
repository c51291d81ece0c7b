"""AiiDA plugin: generate crystals, screen them and validate them with DFT, with full provenance.

Importing this package does not import torch.
"""

__version__ = "0.1.0"
