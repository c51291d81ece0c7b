"""What DFT says of candidates, as a node made from their energies and those of the phases."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import calcfunction

from ..dft.fingerprint import Settings, check_same
from ..dft.known_energies import elements_of


@calcfunction
def judge_candidates(missing: orm.Dict, **energies: Any) -> orm.Dict:
    """Return the verdict of every candidate by identifier, see :class:`icsg3d_models.stability.verdict.Verdict`.

    :param missing: element or compound -> why there is no energy of it; a verdict names those that concern it.
    :param energies: namespaces ``candidates`` and ``phases``: energies by :func:`.relaxations.record_energy`.
    :raises aiida_icsg3d.dft.fingerprint.SettingsDifferError: two of them have different settings.
    """
    from icsg3d_models.stability.verdict import Energy, judge

    candidates = {name: node.get_dict() for name, node in energies["candidates"].items()}
    uuids = {node.uuid for node in energies["candidates"].values()}
    # a candidate of an earlier run of the same crystal is the candidate itself, not a phase to be judged against
    crystals = {entry["structure_uuid"] for entry in candidates.values()}
    phases = [
        node.get_dict()
        for node in energies.get("phases", {}).values()
        if node.uuid not in uuids and node.get_dict()["structure_uuid"] not in crystals
    ]
    check_same(
        {f"{entry['formula']} ({number})": Settings.from_dict(entry["settings"])
         for number, entry in enumerate([*candidates.values(), *phases])}
    )  # fmt: skip
    label = next(iter(candidates.values()))["settings"]["common"]["functional"] if candidates else ""

    def energy_of(entry: dict[str, Any]) -> Energy:
        return Energy(entry["formula"], entry["energy_per_atom_eV"])

    verdicts = judge({n: energy_of(e) for n, e in candidates.items()}, [energy_of(e) for e in phases], label)
    reasons = missing.get_dict()
    found = {}
    for name, verdict in verdicts.items():
        content = verdict.as_dict()
        concerned = {*verdict.lacks, *elements_of(candidates[name]["formula"])}
        content["missing"] = {key: reason for key, reason in reasons.items() if key in concerned}
        content["settings_hash"] = candidates[name]["settings_hash"]
        found[name] = content
    return orm.Dict(found)
