"""Judge relaxed crystals: find or compute what they compete with, and say how far above the hull they lie."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ExitCode, ToContext, WorkChain

from ...calculations.exit_codes import declare, failed_child
from ...dft.fingerprint import SettingsDifferError
from ...dft.known_energies import elements_of, generated_ones
from .guessing import guessed_formulas
from .judging import check_settings, judge_candidates
from .references import ReferencesWorkChain


class VerdictWorkChain(WorkChain):
    """Compare the energies of candidates with those of their elements and competing phases."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input_namespace(
            "candidates", valid_type=orm.Dict, dynamic=True,
            help="Energies of relaxed crystals, as ValidateWorkChain gives them in `energies`.",
        )  # fmt: skip
        spec.expose_inputs(ReferencesWorkChain, namespace="references", exclude=("elements", "formulas"))
        steps: Any = cls
        spec.outline(steps.find_references, steps.judge)
        spec.output(
            "verdicts", valid_type=orm.Dict,
            help="By identifier: formation_energy_per_atom and e_above_hull (eV/atom), stable, decomposition, phases "
            "of the hull, what it lacks, and the verdict in words.",
        )  # fmt: skip
        declare(spec, "ERROR_REFERENCES_FAILED", "ERROR_SETTINGS_DIFFER")

    def find_references(self) -> ToContext:
        """Find or compute the energies of the elements, and of the compounds that the estimated hull has there."""
        from icsg3d_models.stability.verdict import competing_formulas

        formulas = sorted({node.get_dict()["formula"] for node in self.inputs.candidates.values()})
        inputs = AttributeDict(self.exposed_inputs(ReferencesWorkChain, "references"))
        inputs.elements = orm.List(sorted(set().union(*(elements_of(formula) for formula in formulas))))
        inputs.formulas = orm.List(competing_formulas(formulas))
        inputs.setdefault("metadata", AttributeDict()).call_link_label = "references"
        node = self.submit(ReferencesWorkChain, **inputs)
        self.report(f"launching ReferencesWorkChain<{node.pk}> for {', '.join(formulas)}")
        return ToContext(references=node)

    def judge(self) -> ExitCode | None:
        """Attach the verdicts."""
        node = self.ctx.references
        if not node.is_finished_ok:
            return failed_child(self.exit_codes, "ERROR_REFERENCES_FAILED", node)
        phases = dict(node.outputs.energies) if "energies" in node.outputs else {}
        candidates = dict(self.inputs.candidates)
        try:
            check_settings(candidates, phases)
        except SettingsDifferError as exception:
            return self.exit_codes.ERROR_SETTINGS_DIFFER.format(reason=str(exception))
        metadata = {"call_link_label": "judge", "disable_cache": True}  # it names nodes by UUID
        energies = {"candidates": candidates, **({"phases": phases} if phases else {})}
        guessed = orm.List(guessed_formulas(phases.values()))
        made = generated_ones(phases.values())
        generated = orm.List([p.get_dict()["structure_uuid"] for p in phases.values() if p.pk in made])
        verdicts = judge_candidates(
            missing=node.outputs.missing, guessed=guessed, generated=generated, metadata=metadata, **energies
        )
        for content in verdicts.get_dict().values():
            self.report(content["words"])
        self.out("verdicts", verdicts)
        return None
