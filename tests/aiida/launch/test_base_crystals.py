"""Crystals of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.launch.base_crystals import read_base


@pytest.mark.usefixtures("aiida_profile")
def test_base_crystals_are_read_from_files(tmp_path: Path) -> None:
    crystal = Structure(Lattice.hexagonal(2.46, 6.7), ["C"] * 2, [[0, 0, 0.25], [1 / 3, 2 / 3, 0.25]])
    path = tmp_path / "my--graphite (1).cif"
    crystal.to(str(path))
    base = read_base([path])
    assert list(base) == ["base_1_my_graphite_1"]
    structure = base["base_1_my_graphite_1"]
    assert structure.label == "my--graphite (1)"
    assert np.allclose(structure.cell_lengths, [2.46, 2.46, 6.7])
    several = tmp_path / "two.cif"
    several.write_text(path.read_text() * 2)
    assert list(read_base([several])) == ["base_1_two_two_1", "base_1_two_two_2"]
    several.write_text(path.read_text() + path.read_text()[:-30])
    with pytest.raises(ValueError, match=r"two-2: .*cut off"):
        read_base([several])
    half = Structure(Lattice.cubic(4), [{"Mg": 0.5, "Ca": 0.5}, "O"], [[0, 0, 0], [0.5] * 3])
    half.to(str(tmp_path / "half.cif"))
    with pytest.raises(ValueError, match="partial occupancy"):
        read_base([tmp_path / "half.cif"])
    (tmp_path / "empty.cif").write_text("")
    with pytest.raises(ValueError, match=r"empty.cif: no crystal can be read from it"):
        read_base([tmp_path / "empty.cif"])
    with pytest.raises(ValueError, match=r"nowhere.cif: no such file"):
        read_base([tmp_path / "nowhere.cif"])


@pytest.mark.usefixtures("aiida_profile")
def test_no_crystal_takes_the_place_of_another(tmp_path: Path) -> None:
    """Names that become one link label: the second took the place of the first, without a word."""
    first, second = (Structure(Lattice.cubic(a), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3]) for a in (4.1, 4.2))
    path = tmp_path / "two.json"
    path.write_text(json.dumps({"a b": first.as_dict(), "a-b": second.as_dict()}))
    base = read_base([path])
    assert list(base) == ["base_1_two_a_b", "base_1_two_a_b_2"]
    assert [node.cell_lengths[0] for node in base.values()] == pytest.approx([4.1, 4.2])
    with pytest.raises(ValueError, match=r"two.json is given twice"):
        read_base([path, tmp_path / "." / "two.json"])
    long = tmp_path / f"{'x' * 240}.cif"
    first.to(str(long))
    assert max(map(len, read_base([long]))) <= 255
