"""Relax generated crystals with pw.x: one PwRelaxWorkChain a crystal, failures recorded, the others go on."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ProcessBuilder, ToContext, WorkChain, while_
from aiida.engine.processes import ExitCode
from aiida_quantumespresso.workflows.protocols.utils import ProtocolMixin, recursive_merge
from aiida_quantumespresso.workflows.pw.relax import PwRelaxWorkChain

from ..calculations.exit_codes import declare
from ..dft.pseudos import FamilyError, choose_family, load_family
from .protocols import load_protocol
from .relaxations import (
    FAILED,
    HINTS,
    RELAXED,
    collect_relaxations,
    explain_failure,
    final_scf_exceeded,
    symmetrise_structure,
)


def validate_structures(structures: dict[str, orm.StructureData], _: Any) -> str | None:
    """Refuse a run without structures."""
    if not structures:
        return "no structures to relax; give at least one, by an identifier of letters, digits and _"
    return None


def validate_positive(node: orm.Int, _: Any) -> str | None:
    """Refuse zero and less."""
    return f"received {node.value}; it must be at least 1" if node.value < 1 else None


class ValidateWorkChain(WorkChain):
    """Relax cell and positions of every structure with pw.x and report what became of each."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.expose_inputs(
            PwRelaxWorkChain,
            namespace="relax",
            exclude=("structure", "base_relax.pw.pseudos", "base_init_relax.pw.pseudos"),
            namespace_options={"help": "Inputs of every PwRelaxWorkChain; pseudopotentials come from the family."},
        )
        spec.input_namespace(
            "structures", valid_type=orm.StructureData, dynamic=True, validator=validate_structures,
            help="The crystals to relax, by identifier.",
        )  # fmt: skip
        spec.input(
            "pseudo_family", valid_type=orm.Str, serializer=orm.to_aiida_type,
            help="Label of the pseudopotential family; it recommends the cut-offs, unless the pw parameters "
            "of relax.base_relax name SYSTEM.ecutwfc and SYSTEM.ecutrho.",
        )  # fmt: skip
        spec.input(
            "cutoff_stringency", valid_type=orm.Str, required=False, serializer=orm.to_aiida_type,
            help="Which of the family's cut-offs: low, normal, high, where it has several. Left out, or a "
            "family that has no such set: its default.",
        )  # fmt: skip
        spec.input(
            "thresholds_per_atom", valid_type=orm.Dict, serializer=orm.to_aiida_type,
            help="conv_thr and etot_conv_thr in Ry per atom.",
        )  # fmt: skip
        spec.input(
            "symmetry_precision", valid_type=orm.Float, required=False, serializer=orm.to_aiida_type,
            help="Å; symmetrise each crystal within this tolerance first. Left out: relax it as it is.",
        )  # fmt: skip
        spec.input(
            "max_concurrent", valid_type=orm.Int, default=lambda: orm.Int(2), serializer=orm.to_aiida_type,
            validator=validate_positive, help="How many relaxations are started together, batch after batch.",
        )  # fmt: skip
        loop: Any = while_(cls.should_launch)  # type: ignore[arg-type]
        spec.outline(cls.setup, loop(cls.launch), cls.results)
        spec.output_namespace(
            "relaxed", valid_type=orm.StructureData, dynamic=True, required=False,
            help="The relaxed crystals, by the identifier of the input.",
        )  # fmt: skip
        spec.output(
            "results", valid_type=orm.Dict,
            help="By identifier: status, reason, exit_status, workchain_uuid and, where relaxed, energy "
            "(eV), volumes (Å³), a, b, c (Å), space group and displacement (Å).",
        )  # fmt: skip
        declare(spec, "ERROR_PSEUDO_FAMILY", "ERROR_ALL_RELAXATIONS_FAILED")

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: orm.AbstractCode | str,
        structures: dict[str, orm.StructureData] | None = None,
        protocol: str | None = None,
        pseudo_family: str | None = None,
        overrides: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
    ) -> ProcessBuilder:
        """Return a builder filled in by a protocol.

        :param code: code of ``quantumespresso.pw``, or its label.
        :param structures: identifier -> crystal; may be set on the builder later.
        :param protocol: fast, balanced or stringent; default: fast.
        :param pseudo_family: label; default: what :func:`aiida_icsg3d.dft.pseudos.choose_family` finds installed.
        :param overrides: inputs that replace those of the protocol, in the layout of protocols/validate.yaml.
        :param options: ``metadata.options`` of every pw.x job.
        :raises ValueError: unknown protocol, key or family.
        """
        inputs = load_protocol("validate", protocol, overrides)
        check_keys((overrides or {}).get("relax", {}), cls.spec().inputs["relax"], "relax.")
        family = load_family(pseudo_family) if pseudo_family else choose_family(install=False)
        code = orm.load_code(code) if isinstance(code, str) else code
        scheduler = code.computer.scheduler_type if code.computer else "core.direct"

        builder = cls.get_builder()
        if structures is not None:
            builder.structures = structures
        builder.pseudo_family = orm.Str(family.label)
        builder.max_concurrent = orm.Int(inputs["max_concurrent"])
        builder.thresholds_per_atom = orm.Dict(inputs["thresholds_per_atom"])
        if inputs["cutoff_stringency"]:
            builder.cutoff_stringency = orm.Str(inputs["cutoff_stringency"])
        if inputs["symmetry_precision"]:
            builder.symmetry_precision = orm.Float(inputs["symmetry_precision"])
        relax = inputs["relax"]
        for name in ("base_init_relax", "base_relax"):
            if name not in relax:
                continue
            pw = relax[name].setdefault("pw", {})
            pw["code"] = code
            pw["parameters"] = orm.Dict(pw["parameters"])
            metadata = pw.setdefault("metadata", {})
            metadata["options"] = recursive_merge(metadata.get("options", {}), options or {})
            metadata["options"] = ProtocolMixin.set_default_resources(metadata["options"], scheduler)
        builder.relax = relax
        return builder

    def setup(self) -> ExitCode | None:
        """Look the family up and queue the structures."""
        try:
            family = load_family(self.inputs.pseudo_family.value)
        except FamilyError as exception:
            return self.exit_codes.ERROR_PSEUDO_FAMILY.format(reason=str(exception))
        wanted = self.inputs.cutoff_stringency.value if "cutoff_stringency" in self.inputs else None
        known = family.get_cutoff_stringencies()
        self.ctx.stringency = wanted if wanted in known else family.get_default_stringency()
        self.report(f"cut-offs {self.ctx.stringency!r} of the family {family.label!r}, which has {', '.join(known)}")
        self.ctx.waiting = sorted(self.inputs.structures)
        self.ctx.refused = {}
        return None

    def should_launch(self) -> bool:
        """Whether structures are still waiting."""
        return bool(self.ctx.waiting)

    def launch(self) -> ToContext:
        """Start the next batch of relaxations."""
        count = self.inputs.max_concurrent.value
        batch, self.ctx.waiting = self.ctx.waiting[:count], self.ctx.waiting[count:]
        running = {}
        for identifier in batch:
            try:
                inputs = self.relaxation_inputs(identifier)
            except ValueError as exception:  # an element that the family lacks
                self.ctx.refused[identifier] = str(exception)
                self.report(f"{identifier} cannot be relaxed: {exception}")
                continue
            node = self.submit(PwRelaxWorkChain, **inputs)
            running[f"relaxation_{identifier}"] = node
            self.report(f"launching PwRelaxWorkChain<{node.pk}> for {identifier}")
        return ToContext(**running)

    def relaxation_inputs(self, identifier: str) -> AttributeDict:
        """Return the inputs of one relaxation, with pseudopotentials, cut-offs and thresholds of its crystal.

        :raises ValueError: the family lacks an element of the crystal.
        """
        structure = self.inputs.structures[identifier]
        family = load_family(self.inputs.pseudo_family.value)
        wfc, rho = family.get_recommended_cutoffs(structure=structure, stringency=self.ctx.stringency, unit="Ry")
        if "symmetry_precision" in self.inputs:
            structure = symmetrise_structure(  # type: ignore[call-arg]
                structure,
                self.inputs.symmetry_precision,
                metadata={"call_link_label": f"symmetrise_{identifier}"},
            )
        pseudos = family.get_pseudos(structure=structure)
        inputs = AttributeDict(self.exposed_inputs(PwRelaxWorkChain, namespace="relax"))
        inputs.structure = structure
        inputs.metadata.call_link_label = f"relax_{identifier}"
        thresholds = self.inputs.thresholds_per_atom.get_dict()
        atoms = len(structure.sites)
        for name in ("base_init_relax", "base_relax"):
            if name not in inputs:
                continue
            parameters = inputs[name].pw.parameters.get_dict()
            system = parameters.setdefault("SYSTEM", {})
            system.setdefault("ecutwfc", wfc)
            system.setdefault("ecutrho", rho)
            parameters.setdefault("CONTROL", {}).setdefault("etot_conv_thr", atoms * thresholds["etot_conv_thr"])
            parameters.setdefault("ELECTRONS", {}).setdefault("conv_thr", atoms * thresholds["conv_thr"])
            inputs[name].pw.parameters = orm.Dict(parameters)
            inputs[name].pw.pseudos = pseudos
        return inputs

    def outcome(self, identifier: str) -> dict[str, Any]:
        """Return status, reason, exit status and UUID of one relaxation."""
        if identifier in self.ctx.refused:
            reason = self.ctx.refused[identifier]
            return {"status": FAILED, "reason": reason, "exit_status": None, "workchain_uuid": None}
        node = self.ctx[f"relaxation_{identifier}"]
        reason = None
        if not node.is_finished_ok:
            reason = explain_failure(node)
        elif final_scf_exceeded(node):
            reason = HINTS["ERROR_IONIC_CONVERGENCE_REACHED_EXCEPT_IN_FINAL_SCF"]
        return {
            "status": FAILED if reason else RELAXED,
            "reason": reason,
            "exit_status": node.exit_status,
            "workchain_uuid": node.uuid,
        }

    def results(self) -> ExitCode | None:
        """Attach the relaxed crystals and the table of all of them."""
        outcomes = {identifier: self.outcome(identifier) for identifier in sorted(self.inputs.structures)}
        relaxed, parameters = {}, {}
        for identifier, outcome in outcomes.items():
            if outcome["status"] == RELAXED:
                outputs = self.ctx[f"relaxation_{identifier}"].outputs
                relaxed[identifier], parameters[identifier] = (
                    outputs.output_structure,
                    outputs.output_parameters,
                )
            else:
                self.report(f"{identifier} failed: {outcome['reason']}")
        nodes = {"relaxed": relaxed, "parameters": parameters} if relaxed else {}
        table = collect_relaxations(orm.Dict(outcomes), generated=dict(self.inputs.structures), **nodes)
        if relaxed:
            self.out("relaxed", relaxed)
        self.out("results", table)
        if not relaxed:
            reason = next(iter(outcomes.values()))["reason"]
            return self.exit_codes.ERROR_ALL_RELAXATIONS_FAILED.format(count=len(outcomes), reason=reason)
        return None


def check_keys(overrides: dict[str, Any], ports: Any, path: str) -> None:
    """Refuse keys of overrides that name no input.

    :raises ValueError: names the key and what is accepted.
    """
    from aiida.engine.processes.ports import PortNamespace

    for key, value in overrides.items():
        if key not in ports:
            raise ValueError(f"{path}{key} is no input; accepted here: {', '.join(sorted(ports))}")
        if isinstance(ports[key], PortNamespace) and len(ports[key]) and isinstance(value, dict):
            check_keys(value, ports[key], f"{path}{key}.")
