"""WorkChains: train, generate, screen, validate by DFT, and the whole chain."""
