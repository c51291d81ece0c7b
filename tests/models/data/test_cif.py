"""The fast CIF path against pymatgen's parser, and what it leaves to it."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.data.cif import cell_from_parameters, parse_cif, parse_full, parse_plain

ROCK_SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def triclinic() -> Structure:
    """Return a crystal without symmetry."""
    rng = np.random.default_rng(3)
    lattice = Lattice.from_parameters(4.1, 5.2, 6.3, 75, 98, 112)
    return Structure(lattice, ["Ti", "O", "O", "Pb"], rng.random((4, 3)))


def text_of(structure: Structure, symprec: float | None = None) -> str:
    return str(CifWriter(structure, symprec=symprec))


def test_fast_path_equals_pymatgen() -> None:
    text = text_of(triclinic())
    plain, full = parse_plain(text), parse_full(text)[0]
    assert plain is not None
    np.testing.assert_allclose(plain.cell, full.cell, atol=1e-7)
    # pymatgen may list the sites in another order
    order = [int(np.argmin(np.abs(full.frac - f).sum(axis=1))) for f in plain.frac]
    assert sorted(order) == [0, 1, 2, 3]
    np.testing.assert_allclose(plain.frac, full.frac[order], atol=1e-7)
    assert plain.numbers.tolist() == full.numbers[order].tolist()


@pytest.mark.parametrize("parameters", [(3, 4, 5, 90, 90, 90), (3, 3, 8, 90, 90, 120), (4, 5, 6, 70, 80, 100)])
def test_cell_has_the_parameters(parameters: tuple[float, ...]) -> None:
    lattice = Lattice(cell_from_parameters(*parameters))
    np.testing.assert_allclose(lattice.parameters, parameters, atol=1e-9)


def test_symmetry_is_applied() -> None:
    text = text_of(ROCK_SALT, symprec=0.01)
    assert parse_plain(text) is None
    (crystal,) = parse_cif(text)
    assert sorted(crystal.numbers.tolist()) == [11] * 4 + [17] * 4


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda t: "", "empty"),
        (lambda t: "not a CIF at all", "unreadable"),
        (lambda t: t.replace("  1.0\n", "  0.5\n").replace("  1\n", "  0.5\n"), "partial occupancy"),
        (lambda t: t.replace("_cell_length_a   4.1", "_cell_length_a   0.0"), "singular cell|unreadable"),
        (lambda t: t.replace("_cell_angle_gamma   112", "_cell_angle_gamma   179"), "singular cell"),
        (lambda t: "\n".join(t.splitlines()[:-1]), "cut off or incomplete"),
        (lambda t: t[: len(t) // 2], "unreadable"),
        (lambda t: t.replace("  Ti  ", "  Zz  "), "unreadable|no chemical element|incomplete"),
    ],
)
def test_bad_cif_is_refused_with_the_reason(spoil, reason: str) -> None:  # type: ignore[no-untyped-def]
    text = text_of(triclinic())
    changed = spoil(text)
    assert changed != text
    with pytest.raises(CrystalError, match=reason):
        parse_cif(changed)


def test_rows_after_a_blank_line_belong_to_the_loop() -> None:
    lines = text_of(triclinic()).rstrip().splitlines()
    assert len(parse_cif("\n".join([*lines[:-1], "", lines[-1]]))[0].numbers) == 4
