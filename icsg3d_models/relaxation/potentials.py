"""Interatomic potentials by name, as ASE calculators.

7net-0: Park et al., J. Chem. Theory Comput. 20, 4857 (2024), 10.1021/acs.jctc.4c00190. CHGNet: Deng et al., Nat.
Mach. Intell. 5, 1031 (2023), 10.1038/s42256-023-00716-3. Both were trained on MPtrj, and their packages carry the
weights: nothing is fetched.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import torch

from ..results import StageError
from ..settings.relax import Potential
from ..stability.corrections import CORRECTED, UNCORRECTED

INSTALL = "pip install 'aiida-icsg3d[relax]'"
NOT_IN_MPTRJ = frozenset({84, 85, 86, 87, 88})
"""Po to Ra: up to Pu, the elements of which MPtrj has no crystal."""


@dataclass(frozen=True)
class Loaded:
    """A potential that is ready to be used.

    :param calculator: ASE calculator; energies in eV, forces in eV/Å, stress in eV/Å³.
    :param scale: what its energies are comparable with, as in :class:`icsg3d_models.settings.relax.Potential`.
    :param knows: atomic numbers it was made for, None where it does not say.
    :param version: of its package.
    """

    name: str
    calculator: Any
    scale: str | None
    knows: frozenset[int] | None
    version: str

    def unknown(self, numbers: Any) -> list[int]:
        """Return the atomic numbers that it was not made for."""
        return [] if self.knows is None else sorted({int(z) for z in numbers} - self.knows)


def load(potential: Potential, device: torch.device) -> Loaded:
    """Return a potential by its name.

    :raises StageError: its package is not installed, the class is no ASE calculator, or refuses the arguments.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")  # advice on accelerators and deprecations inside the packages
        if potential.name == "7net-0":
            return _load_sevennet(device)
        if potential.name == "chgnet":
            return _load_chgnet(device)
        return _load_class(potential)


def _load_sevennet(device: torch.device) -> Loaded:
    """Return 7net-0 with the weights of 11 July 2024."""
    module = _import("sevenn.calculator", "7net-0", INSTALL)
    calculator = module.SevenNetCalculator("7net-0", device=device)
    return Loaded("7net-0", calculator, UNCORRECTED, frozenset(map(int, calculator.type_map)), _version("sevenn"))


def _load_chgnet(device: torch.device) -> Loaded:
    """Return CHGNet 0.3.0."""
    module = _import("chgnet.model.dynamics", "chgnet", INSTALL)
    calculator = module.CHGNetCalculator(use_device=str(device), on_isolated_atoms="error")
    return Loaded("chgnet", calculator, CORRECTED, frozenset(range(1, 95)) - NOT_IN_MPTRJ, _version("chgnet"))


def _load_class(potential: Potential) -> Loaded:
    """Return the ASE calculator of a class that is named by its package."""
    from ase.calculators.calculator import BaseCalculator

    path, _, name = potential.name.removeprefix("ase:").rpartition(".")
    package = path.partition(".")[0]
    found = getattr(_import(path, potential.name, "install its package where the jobs run"), name, None)
    # checked before anything is called: only calculators are, whatever else a package offers
    if not (isinstance(found, type) and issubclass(found, BaseCalculator)):
        raise StageError("settings_rejected", f"{potential.name}: {name} of {path} is no class of ASE calculators")
    try:
        calculator = found(**potential.arguments)
    except Exception as exception:  # whatever a foreign constructor raises
        given = ", ".join(potential.arguments) or "none"
        raise StageError(
            "settings_rejected",
            f"{potential.name} cannot be made with the arguments {given}: {type(exception).__name__}: {exception}",
        ) from exception
    return Loaded(potential.name, calculator, potential.scale, None, _version(package))


def _import(module: str, name: str, advice: str) -> Any:
    """Import the module of a potential."""
    try:
        return importlib.import_module(module)
    except ImportError as exception:
        raise StageError("settings_rejected", f"{name} is not installed here ({exception}); {advice}") from exception


def _version(package: str) -> str:
    """Return the version of a package, empty where it has none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
