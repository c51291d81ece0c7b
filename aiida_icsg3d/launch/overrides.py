"""A file of overrides: what the protocols of a discovery run have, changed by a person, checked before anything starts.

The layout is that of the protocol ``discover``: below ``generate``, ``screen`` and ``validation`` stand the keys of the
protocols of these names (``validation``: ``validate``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from icsg3d_models.conditions import BY_NAME

from ..setup.yaml_file import read_mapping
from ..workflows.protocols import load_protocol

PARTS = {"generate": "generate", "screen": "screen", "validation": "validate"}
"""Key of the protocol ``discover`` -> protocol whose keys stand below it."""
NAMELISTS = ("CONTROL", "SYSTEM", "ELECTRONS", "IONS", "CELL", "FCP", "RISM")
SAID_BY_OPTIONS = {
    "n_relaxations": "--n-relaxations",
    "phonons.count": "--phonons",
    "generate.sample.settings.n_samples": "--n-samples",
    "generate.sample.settings.mode": "--base, or --base and --interpolate",
    "generate.sample.settings.spread": "--spread",
    "generate.sample.settings.guidance": "--guidance",
    "generate.sample.settings.targets": "--target",
    **{f"{place}.settings.seed": "--seed"
       for place in ("generate.sample", "generate.segment", "generate.rebuild", "screen.screen")},
    **{f"{place}.settings.{name}": f"--{name.replace('_', '-')}"
       for place in ("generate.sample", "screen.screen") for name in BY_NAME},
    "generate.segment.settings.elements": "--elements",
    "validation.pseudo_family": "--pseudo-family",
}  # fmt: skip
"""Key of a file -> option that sets it on every run, so that the file would be overruled without a word."""


def read_overrides(given: Path | Mapping[str, Any] | None, protocol: str) -> dict[str, Any]:
    """Return the overrides of a file, or of a mapping in its layout, checked.

    :param protocol: ``fast``, ``balanced`` or ``stringent``, which they change.
    :raises ValueError: names file, key, and what is accepted there.
    """
    content = read_mapping(given) if isinstance(given, Path) else dict(given or {})
    where = str(given) if isinstance(given, Path) else "overrides"
    try:
        check_overrides(content, protocol)
    except ValueError as exception:
        raise ValueError(f"{where}: {exception}") from None
    return content


def check_overrides(content: Mapping[str, Any], protocol: str) -> None:
    """Refuse keys and values that no protocol takes.

    :raises ValueError: names the key and what is accepted there.
    """
    if "train" in content:
        raise ValueError("train: a run with given models trains none; `aiida-icsg3d train` does, and has its options")
    checked(content, "discover", protocol, "")
    for key, option in SAID_BY_OPTIONS.items():
        if key in dict(flat(content)) or any(place.startswith(f"{key}.") for place, _ in flat(content)):
            raise ValueError(f"{key}: leave it out and say it with {option}, which goes above the file")
    for part, name in PARTS.items():
        if part not in content:
            continue
        if not isinstance(content[part], Mapping):
            raise ValueError(f"{part}: received {content[part]!r}; a mapping is needed there")
        merged = checked(content[part], name, protocol, f"{part}.")
        if part == "validation":
            check_dft(merged)
        else:
            check_stages(merged, part)


def checked(content: Mapping[str, Any], name: str, protocol: str, prefix: str) -> dict[str, Any]:
    """Return a protocol with overrides; the keys in an error are those of the file.

    :param prefix: where in the file the keys of the protocol stand.
    """
    try:
        return load_protocol(name, protocol, content)
    except ValueError as exception:
        raise ValueError(str(exception).replace(f"override {name}.", prefix)) from None


def check_stages(merged: Mapping[str, Any], part: str) -> None:
    """Refuse settings of stages that the stages do not have."""
    from aiida.plugins import CalculationFactory

    for stage, inputs in merged.items():
        if isinstance(inputs, Mapping) and "settings" in inputs:
            process: Any = CalculationFactory(f"icsg3d.{stage}")
            try:
                process.complete_settings(inputs["settings"], process.assumed_files(inputs["settings"]))
            except ValueError as exception:
                raise ValueError(f"{part}.{stage}: {exception}") from None


def check_dft(merged: Mapping[str, Any]) -> None:
    """Refuse inputs of the DFT that its engine does not have."""
    from aiida_quantumespresso.workflows.pw.relax import PwRelaxWorkChain

    from ..calculations.relax import RelaxCalculation
    from ..dft.engines import engine_class
    from ..dft.quantum_espresso.pw_engine import check_keys

    engine_class(merged["engine"])
    relax = merged["relax"]
    check_keys(relax, PwRelaxWorkChain.spec().inputs, "validation.relax.")
    for base in ("base_relax", "base_init_relax"):
        for namelist, keywords in relax.get(base, {}).get("pw", {}).get("parameters", {}).items():
            here = f"validation.relax.{base}.pw.parameters.{namelist}"
            if namelist not in NAMELISTS:
                raise ValueError(f"{here} is no namelist of pw.x; there are {', '.join(NAMELISTS)}")
            if not isinstance(keywords, Mapping):
                raise ValueError(f"{here}: received {keywords!r}; a mapping keyword: value is needed there")
    if unknown := sorted(set(merged["potential"]) - {"settings", "options"}):
        raise ValueError(f"validation.potential.{unknown[0]} is not known; there are settings and options")
    try:
        settings = merged["potential"]["settings"]
        RelaxCalculation.complete_settings(settings, RelaxCalculation.assumed_files(settings))
    except ValueError as exception:
        raise ValueError(f"validation.potential: {exception}") from None


def flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``a.b.c`` and the value there, for all values of nested mappings."""
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def joined(*given: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings merged level by level, the later above the earlier."""
    made: dict[str, Any] = {}
    for content in given:
        for key, value in content.items():
            both = isinstance(made.get(key), Mapping) and isinstance(value, Mapping)
            made[key] = joined(made[key], value) if both else value
    return made
