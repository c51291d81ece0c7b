"""What DFT says of candidates, as a node made from their energies and those of the phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.engine import calcfunction

from ...dft.fingerprint import Settings, check_same
from ...dft.known_energies import elements_of


@calcfunction
def judge_candidates(missing: orm.Dict, guessed: orm.List, generated: orm.List, **energies: Any) -> orm.Dict:
    """Return the verdict of every candidate by identifier, see :class:`icsg3d_models.stability.verdict.Verdict`.

    :param missing: element or compound -> why there is no energy of it; a verdict names those that concern it.
    :param guessed: formulas whose structures were guessed; a verdict names those of its hull.
    :param generated: UUIDs of the crystals among the phases that were generated, by an earlier round or run.
    :param energies: namespaces ``candidates`` and ``phases``: energies by :func:`.relaxations.record_energy`.
    :raises aiida_icsg3d.dft.fingerprint.SettingsDifferError: two of them have different settings.
    """
    from icsg3d_models.stability.verdict import Energy, judge

    candidates, phases = contents(energies["candidates"], energies.get("phases", {}))
    check_settings(energies["candidates"], energies.get("phases", {}))
    label = Settings.from_dict(next(iter(candidates.values()))["settings"]).method if candidates else ""

    made = set(generated.get_list())

    def energy_of(entry: dict[str, Any]) -> Energy:
        return Energy(entry["formula"], entry["energy_per_atom_eV"], entry["structure_uuid"] in made)

    verdicts = judge({n: energy_of(e) for n, e in candidates.items()}, [energy_of(e) for e in phases], label)
    reasons = missing.get_dict()
    found = {}
    for name, verdict in verdicts.items():
        content = verdict.as_dict()
        concerned = {*verdict.lacks, *elements_of(candidates[name]["formula"])}
        content["missing"] = {key: reason for key, reason in reasons.items() if key in concerned}
        content["guessed"] = sorted(set(guessed.get_list()) & set(verdict.phases))
        if content["guessed"]:
            content["words"] += f"; structure guessed from prototypes: {', '.join(content['guessed'])}"
        if content["reason"]:
            hint = (
                f"; `aiida-icsg3d references --elements {','.join(sorted(elements_of(verdict.formula)))}` computes them"
            )
            content["reason"], content["words"] = content["reason"] + hint, content["words"] + hint
        content["settings_hash"] = candidates[name]["settings_hash"]
        found[name] = content
    return orm.Dict(found)


Content = dict[str, Any]


def contents(
    candidates: Mapping[str, orm.Dict], phases: Mapping[str, orm.Dict]
) -> tuple[dict[str, Content], list[Content]]:
    """Return the energies of the candidates by identifier, and those of the phases without the candidates' own.

    An energy of the same crystal by an earlier run is the candidate itself, not something to be judged against.
    """
    mine = {name: node.get_dict() for name, node in candidates.items()}
    crystals = {entry["structure_uuid"] for entry in mine.values()}
    others = [node.get_dict() for node in phases.values()]
    return mine, [entry for entry in others if entry["structure_uuid"] not in crystals]


def check_settings(candidates: Mapping[str, orm.Dict], phases: Mapping[str, orm.Dict]) -> None:
    """Refuse energies of different settings.

    :raises SettingsDifferError: two of them have different ones.
    """
    mine, others = contents(candidates, phases)
    named = {f"{entry['formula']} ({name})": entry for name, entry in mine.items()}
    named |= {f"{entry['formula']} ({number})": entry for number, entry in enumerate(others)}
    check_same({name: Settings.from_dict(entry["settings"]) for name, entry in named.items()})
