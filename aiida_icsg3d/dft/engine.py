"""The door: structure in; relaxed structure, energy (eV) and reason out.

An engine is one class. :class:`.validate.ValidateWorkChain` names no program: it asks the engine which processes relax
a crystal, submits them, and asks the engine what became of them. A second engine is a class beside
:class:`.quantum_espresso.QuantumEspresso` and a line in :data:`aiida_icsg3d.dft.engines.ENGINES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiida.common import AttributeDict
from aiida.engine import Process, ProcessBuilder
from aiida.orm import AbstractCode, Node, ProcessNode, StructureData

from .errors import CrystalError, EngineError
from .fingerprint import Settings
from .magnetism import GIVEN, NONMAGNETIC

__all__ = ("CrystalError", "Engine", "EngineError", "Relaxation")

LOWEST = "lowest"
"""Start of an engine that has one way only to begin."""
UNNAMED = (LOWEST, NONMAGNETIC, GIVEN)
"""Starts that are not named in the label of a relaxation: there is no other beside them."""


def task_label(crystals: Sequence[str], start: str) -> str:
    """Return the label of the relaxation of some crystals from a start."""
    label = crystals[0] if len(crystals) == 1 else f"batch_{crystals[0]}"
    return label if start in UNNAMED else f"{label}_{start}"


def crystal_and_start(label: str, identifiers: Container[str]) -> tuple[str, str]:
    """Return identifier and start by the label of the relaxation of one crystal.

    :param identifiers: those that there are.
    """
    if label in identifiers:
        return label, LOWEST
    identifier, _, start = label.rpartition("_")
    return identifier, start


@dataclass(frozen=True)
class Relaxation:
    """What came out of one process for one crystal.

    :param structure: relaxed; None where it failed.
    :param energy: eV, of the relaxed cell; None where it failed.
    :param reason: why it failed and what to do about it; None where it did not.
    :param figures: what else the program says, as far as it says it: ``total_magnetization`` and
        ``absolute_magnetization`` (Bohr magnetons a cell), ``band_gap_eV`` (None in a metal), ``pressure_GPa``,
        ``max_force_eV_per_angstrom``, ``program_version``.
    :param sources: the nodes that the figures were read from, for the provenance.
    """

    structure: StructureData | None = None
    energy: float | None = None
    reason: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Node] = field(default_factory=dict)


class Engine(ABC):
    """What relaxes crystals. An instance belongs to the inputs of one run.

    :cvar name: value of the input ``engine``.
    :cvar batch: how many crystals one process takes.
    """

    name: ClassVar[str]
    batch: ClassVar[int] = 1

    @classmethod
    @abstractmethod
    def define(cls, spec: Any) -> None:
        """Declare the inputs of this engine on the spec of the WorkChain; none of them is required there."""

    @classmethod
    @abstractmethod
    def check(cls, inputs: Mapping[str, Any], ports: Any) -> str | None:
        """Return what is wrong with the inputs of this engine, where it is the one that was chosen.

        :param ports: the namespace; what a WorkChain left out on exposing is not in it.
        """

    @classmethod
    @abstractmethod
    def fill(
        cls, builder: ProcessBuilder, code: AbstractCode, inputs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> None:
        """Set the inputs of this engine on the builder of the WorkChain.

        :param inputs: the protocol ``validate``, with overrides.
        :param options: ``metadata.options`` of every job.
        :raises ValueError: a key or value that is not accepted.
        """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        """Take the inputs of the WorkChain.

        :raises EngineError: the engine cannot be used.
        """
        self.inputs = inputs

    def describe(self) -> str:
        """Return one line on what is used, for the report of the WorkChain."""
        return self.name

    def starts(self, identifier: str, structure: StructureData) -> Sequence[str]:
        """Return the points a crystal is relaxed from; the lowest end is kept, all are recorded.

        :param structure: as it was given, not yet symmetrised.

        :raises CrystalError: the engine cannot take this crystal.
        """
        return (LOWEST,)

    def dress(self, structure: StructureData, start: str) -> StructureData:
        """Return a crystal as it is relaxed from a start: its kinds tell apart what symmetry would merge."""
        return structure

    @abstractmethod
    def process(self, crystals: Mapping[str, StructureData], start: str) -> tuple[type[Process], AttributeDict]:
        """Return the process that relaxes these crystals from a start, and its inputs.

        :param crystals: identifier -> crystal, dressed and symmetrised, at most :attr:`batch` of them.
        :raises CrystalError: the engine cannot take one of them.
        """

    @classmethod
    @abstractmethod
    def read(cls, node: ProcessNode, identifier: str) -> Relaxation:
        """Return what became of a crystal in a process that has ended, in whatever way, of any earlier release too."""

    @abstractmethod
    def settings(self, node: ProcessNode, identifier: str) -> Settings:
        """Return the settings that the energy of a crystal was computed with, from the inputs of the process."""

    def is_molecule(self, identifier: str) -> bool:
        """Whether a structure is a molecule in a box, whose cell means nothing."""
        return False

    def energy(
        self, relaxation: ProcessNode, identifier: str, structure: StructureData
    ) -> tuple[type[Process], AttributeDict] | None:
        """Return the process of a better energy of a relaxed crystal, and its inputs; None: the relaxation's counts."""
        return None

    @classmethod
    def read_energy(cls, node: ProcessNode) -> Relaxation:
        """Return energy, figures and sources of that process, or the reason why it failed."""
        raise EngineError(f"{cls.name} computes no energy after a relaxation", "ERROR_ALL_RELAXATIONS_FAILED")

    @abstractmethod
    def expected_settings(self, elements: Iterable[str]) -> Settings:
        """Return the settings that energies of crystals of these elements will have, before anything is computed.

        :raises CrystalError: the engine cannot take one of the elements.
        """

    @classmethod
    def may_be_tried_again(cls, node: ProcessNode) -> bool:
        """Whether a process was cut off from outside, or not at its end: trying again may well succeed."""
        return False

    @classmethod
    def go_on(cls, inputs: AttributeDict, before: ProcessNode) -> None:
        """Change the inputs of a process that is tried again so that it goes on where the one before ended."""
        return None

    @classmethod
    def note(cls, structure: StructureData, starts: Sequence[str]) -> str | None:
        """Return what has to be said wherever the energy is shown, or None.

        :param structure: the relaxed crystal.
        :param starts: all that it was relaxed from.
        """
        return None
