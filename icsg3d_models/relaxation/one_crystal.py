"""All that is done with one crystal: relax it, look at its modes, and say what became of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms

from ..settings import RelaxSettings
from .changes import compare
from .modes import LOWER, Cells, Modes, pushed
from .optimise import RELAXED, Late, Outcome, optimise
from .phonons import lowest_mode
from .potentials import Loaded


def relax_one(
    generated: Atoms, potential: Loaded, second: Loaded | None, settings: RelaxSettings, deadline: float | None
) -> dict[str, Any]:
    """Return the entry of one crystal in the journal: its row, and its cell and sites where it has some.

    :raises Late: the deadline came first.
    """
    outcome = optimise(generated, potential, settings, deadline)
    reasons = [outcome.reason] if outcome.reason else []
    modes: dict[str, Any] = {}
    if settings.phonons.mode != "off" and outcome.atoms is not None:
        outcome, repeats, modes, words = look_at_modes(outcome, potential, settings, deadline)
        reasons += words
        generated = generated.repeat(repeats)
    row: dict[str, Any] = {
        "n_sites": len(generated), "status": outcome.status, "potential": potential.name, "steps": outcome.steps,
        "seconds": round(outcome.seconds, 3), **modes,
    }  # fmt: skip
    relaxed = outcome.atoms
    if relaxed is None:
        return {"row": finite({**row, "reason": "; ".join(reasons)})}
    row |= measured(generated, outcome, settings.symmetry_tolerance, reasons)
    entry: dict[str, Any] = {}
    if second is not None:
        entry["second_energy"], problem = single_energy(relaxed, second)
        reasons += [f"{problem}: no spread"] if problem else []
    row["reason"] = "; ".join(reasons)
    return {
        "row": finite(row), **finite(entry), "cell": relaxed.cell.array.tolist(),
        "frac": relaxed.get_scaled_positions(wrap=True).tolist(), "numbers": relaxed.numbers.tolist(),
    }  # fmt: skip


def look_at_modes(
    outcome: Outcome, potential: Loaded, settings: RelaxSettings, deadline: float | None
) -> tuple[Outcome, Cells, dict[str, Any], list[str]]:
    """Look for an imaginary mode, and follow it once to the lower structure.

    :return: what the crystal is in the end, in how many of its cells, the columns on modes, and what to say.
    """
    here: Cells = (1, 1, 1)
    if outcome.status != RELAXED:
        return outcome, here, {}, ["no phonons of a crystal that is not converged"]
    assert outcome.atoms is not None
    options = settings.phonons
    supercell: Cells = options.supercell if options.mode == "supercell" else here
    try:
        mode = lowest_mode(outcome.atoms, potential, options, supercell, deadline)
        if not mode.frequency < -options.threshold:
            return outcome, here, columns(mode, options.threshold), []
        found = f"imaginary mode of {-mode.frequency:.1f} THz at ({', '.join(f'{q:.3g}' for q in mode.wave_vector)})"
        if not options.follow:
            return outcome, here, columns(mode, options.threshold), [found]
        # LBFGS takes the negative curvature for a positive one and climbs back to the saddle
        downhill = settings.model_copy(update={"optimiser": "FIRE"})
        lower = optimise(pushed(outcome.atoms, mode), potential, downhill, deadline)
        repeats = mode.repeats()
        gain = outcome.energy / len(outcome.atoms) - lower.energy / (len(outcome.atoms) * int(np.prod(repeats)))
        if lower.status != RELAXED or not gain > LOWER:
            why = "no lower structure along it" if lower.status == RELAXED else f"along it {lower.reason}"
            return outcome, here, columns(mode, options.threshold) | {"followed": False}, [f"{found}; {why}"]
        assert lower.atoms is not None
        rest = tuple(-(-n // m) for n, m in zip(supercell, repeats, strict=True))
        mode = lowest_mode(lower.atoms, potential, options, (rest[0], rest[1], rest[2]), deadline)
    except Late:
        raise
    except Exception as exception:  # whatever a potential raises on a distorted cell
        words = " ".join(str(exception).split())[:160]
        return outcome, here, {}, [f"no phonons: {type(exception).__name__}: {words}"]
    lower = replace(lower, steps=outcome.steps + lower.steps, seconds=outcome.seconds + lower.seconds)
    said = f"{found} was followed to a structure {1e3 * gain:.1f} meV/atom lower"
    return lower, repeats, columns(mode, options.threshold) | {"followed": True}, [said]


def columns(mode: Modes, threshold: float) -> dict[str, Any]:
    """Return the columns on modes; empty where there is none to look at."""
    if not np.isfinite(mode.frequency):
        return {}
    return {"lowest_frequency": mode.frequency, "dynamically_stable": bool(mode.frequency >= -threshold)}


def measured(generated: Atoms, outcome: Outcome, tolerance: float, reasons: list[str]) -> dict[str, Any]:
    """Return what is measured of a crystal that was relaxed; what there is to say goes into ``reasons``."""
    assert outcome.atoms is not None
    changes = compare(generated, outcome.atoms, tolerance)
    reasons += changes.words()
    return {
        "energy": outcome.energy, "energy_per_atom": outcome.energy / len(generated),
        "converged": outcome.status == RELAXED, "fmax": outcome.fmax, "pressure": outcome.pressure,
        "volume": float(outcome.atoms.get_volume()), "volume_change": changes.volume_percent, "rmsd": changes.rmsd,
        "left_prototype": changes.left_prototype, "spacegroup_before": changes.before,
        "spacegroup_after": changes.after, "symmetry": changes.symmetry,
    }  # fmt: skip


def single_energy(crystal: Atoms, potential: Loaded) -> tuple[float | None, str]:
    """Return the energy in eV of a crystal as it is by a potential, or None and why there is none."""
    if potential.unknown(crystal.numbers):
        return None, f"{potential.name} was not made for one of its elements"
    atoms = crystal.copy()
    atoms.calc = potential.calculator
    try:
        return float(atoms.get_potential_energy()), ""
    except (RuntimeError, ValueError, NotImplementedError) as exception:
        return None, f"{potential.name}: {' '.join(str(exception).split())[:120]}"


def finite(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without numbers that are none."""
    return {k: v for k, v in row.items() if v is not None and not (isinstance(v, float) and not np.isfinite(v))}
