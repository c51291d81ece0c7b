"""Phonons of several relaxed crystals, one after the other: which of them are minima."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ToContext, calcfunction, while_

from ..window import WindowWorkChain
from .phonons import PhononsWorkChain

LOWEST, STABLE = "lowest_frequency_THz", "dynamically_stable"


class MinimaWorkChain(WindowWorkChain):
    """Run a PhononsWorkChain on each crystal; one that fails is named, and the others go on."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline and outputs."""
        super().define(spec)
        spec.input_namespace(
            "structures", valid_type=orm.StructureData, dynamic=True, required=False,
            help="Crystals that ValidateWorkChain relaxed by pw.x, by identifier.",
        )  # fmt: skip
        spec.expose_inputs(PhononsWorkChain, exclude=("structure",))
        steps: Any = cls
        spec.outline(steps.setup, while_(steps.should_go_on)(steps.launch, steps.take), steps.results)
        spec.output(
            "results", valid_type=orm.Dict,
            help=f"By identifier: {LOWEST}, {STABLE}, wave_vector, supercell, followed (lower_by_eV_per_atom, its "
            "space group; None), reason where there are no modes, workchain_uuid.",
        )  # fmt: skip
        spec.output_namespace(
            "lower", valid_type=orm.StructureData, dynamic=True, required=False,
            help="Where imaginary modes led, by the identifier of the crystal that has them.",
        )  # fmt: skip

    def setup(self) -> None:
        """Queue the crystals."""
        self.ctx.waiting = sorted(self.inputs.get("structures", {}))

    def should_go_on(self) -> bool:
        """Whether something is left to begin or to end."""
        return bool(self.ctx.waiting or self.running)

    def launch(self) -> ToContext | None:
        """Begin with the next crystal: its displacements alone are several jobs side by side."""
        if not self.running:
            name = self.ctx.waiting.pop(0)
            inputs = AttributeDict(self.exposed_inputs(PhononsWorkChain))
            inputs.structure = self.inputs.structures[name]
            inputs.metadata = {"call_link_label": f"phonons_{name}"}
            node = self.begin(f"phonons_{name}", PhononsWorkChain, **inputs)
            self.report(f"launching PhononsWorkChain<{node.pk}> for {name}")
        return self.still_running()

    def take(self) -> None:
        """Take note of what has ended."""
        for key, node in self.ended().items():
            if not node.is_finished_ok:
                self.report(f"{key.removeprefix('phonons_')}: {node.exit_message or node.process_state}")

    def results(self) -> None:
        """Attach what was found."""
        parts: dict[str, dict[str, Any]] = {"modes": {}, "followed": {}}
        facts: dict[str, Any] = {}
        lower = {}
        for name in sorted(self.inputs.get("structures", {})):
            node = self.ctx[f"phonons_{name}"]
            failed = None if node.is_finished_ok else str(node.exit_message or node.process_state)
            facts[name] = {"workchain_uuid": node.uuid, "reason": failed}
            for part, found in parts.items():
                if part in node.outputs:
                    found[name] = node.outputs[part]
            if "lower" in node.outputs:
                lower[name] = node.outputs.lower
        metadata = {"call_link_label": "collect", "disable_cache": True}  # it names nodes by UUID
        given = {part: found for part, found in parts.items() if found}
        self.out("results", collect_modes(orm.Dict(facts), metadata=metadata, **given))
        if lower:
            self.out("lower", lower)


@calcfunction
def collect_modes(facts: orm.Dict, **parts: Any) -> orm.Dict:
    """Return what phonons found of each crystal, see the output ``results`` of :class:`MinimaWorkChain`.

    :param facts: by identifier ``workchain_uuid`` and ``reason``.
    :param parts: namespaces ``modes`` and ``followed``, the outputs of these names by identifier.
    """
    found = {}
    for name, entry in facts.get_dict().items():
        modes = parts.get("modes", {}).get(name)
        followed = parts.get("followed", {}).get(name)
        known = modes.get_dict() if modes is not None else {}
        found[name] = {
            **entry,
            **{key: known.get(key) for key in (LOWEST, STABLE, "wave_vector", "supercell")},
            "followed": followed.get_dict() if followed is not None else None,
        }
    return orm.Dict(found)


def best_relaxed(relaxed: Mapping[str, Any], results: Mapping[str, Any], verdicts: Mapping[str, Any]) -> list[str]:
    """Return identifiers of relaxed crystals, the lowest above the hull first, those without a verdict last.

    :param relaxed: identifier -> crystal.
    :param results: of the ValidateWorkChain; where there is no verdict the energy per atom counts.
    :param verdicts: identifier -> verdict.
    """

    def key(name: str) -> tuple[bool, float]:
        height = (verdicts.get(name) or {}).get("e_above_hull")
        return (height is None, results[name]["energy_per_atom_eV"] if height is None else height)

    return sorted(relaxed, key=key)
