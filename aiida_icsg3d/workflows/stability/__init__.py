"""How stable DFT says that candidates are: what they compete with, and the verdict."""
