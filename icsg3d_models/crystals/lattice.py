"""A lattice as six numbers that do not depend on how the crystal is rotated.

``L = S Q`` with S symmetric positive and Q a rotation; the six numbers are the upper triangle of log S
(log Å). Rotating the crystal changes only Q; scaling by c adds log c to the diagonal. A cubic cell of
length a is (log a, log a, log a, 0, 0, 0). After the polar decomposition used by Jiao et al. (arXiv:2402.03992).
"""

from __future__ import annotations

import torch
from torch import Tensor

_I, _J = (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)


def lattice_to_vector(cell: Tensor) -> Tensor:
    """Return the (B, 6) vector (log Å) of (B, 3, 3) cells in Å, rows lattice vectors."""
    values, vectors = torch.linalg.eigh((cell @ cell.transpose(1, 2)).double())
    log_s = vectors @ torch.diag_embed(0.5 * values.log()) @ vectors.transpose(1, 2)
    return log_s[:, _I, _J].to(cell.dtype)


def vector_to_lattice(vector: Tensor) -> Tensor:
    """Return (B, 3, 3) cells in Å whose lattice vector is the given (B, 6); orientation is pymatgen-free, L = S."""
    log_s = torch.zeros(len(vector), 3, 3, dtype=torch.float64, device=vector.device)
    log_s[:, _I, _J] = vector.double()
    log_s[:, _J, _I] = vector.double()
    return torch.linalg.matrix_exp(log_s).to(vector.dtype)
