"""The engine Quantum ESPRESSO: a PwRelaxWorkChain for each crystal and start, filled in by its own protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import Process, ProcessBuilder
from aiida.engine.processes.ports import PortNamespace
from aiida_quantumespresso.common.types import ElectronicType, RelaxType, SpinType
from aiida_quantumespresso.workflows.protocols.utils import ProtocolMixin, recursive_merge
from aiida_quantumespresso.workflows.pw.relax import PwRelaxWorkChain

from .. import magnetism
from ..engine import Engine, Relaxation
from ..errors import CrystalError, EngineError
from ..fingerprint import Settings
from ..magnetism import ANTIFERROMAGNETIC, FERROMAGNETIC, GIVEN, NONMAGNETIC
from ..pseudos import FamilyError, choose_family, load_family
from ..symmetry import check_ordered
from . import pw_energy, pw_outputs
from .pw_failures import HINTS, cut_off, explain_failure, final_scf_exceeded, still_moving
from .pw_hubbard import check_hubbard, with_hubbard
from .pw_settings import settings_of

SPIN_TYPES = ("auto", SpinType.NONE.value, SpinType.COLLINEAR.value)
ELECTRONIC_TYPES = (ElectronicType.METAL.value, ElectronicType.INSULATOR.value)
NAMESPACE = "relax"
PROBE_CELL = 8.0  # Å; of a crystal that is never computed
BASES = ("base_init_relax", "base_relax")
SPIN_KEYS = ("nspin", "noncolin", "starting_magnetization", "tot_magnetization")
SMEARING_KEYS = ("occupations", "smearing", "degauss")
RELAX_TYPES = {"vc-relax": RelaxType.POSITIONS_CELL, "relax": RelaxType.POSITIONS, "scf": RelaxType.NONE}
"""CONTROL.calculation -> what aiida-quantumespresso calls it."""


class QuantumEspresso(Engine):
    """Relax cell and positions by pw.x."""

    name = "quantum_espresso"

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare ``relax``, and what is chosen for each crystal by its elements."""
        spec.expose_inputs(
            PwRelaxWorkChain, namespace=NAMESPACE,
            exclude=("structure", "base_relax.pw.pseudos", "base_init_relax.pw.pseudos"),
            namespace_options={
                "required": False, "populate_defaults": False,
                "help": "Inputs of every PwRelaxWorkChain; pseudopotentials come from the family.",
            },
        )  # fmt: skip
        spec.input(
            "pseudo_family", valid_type=orm.Str, required=False, serializer=orm.to_aiida_type,
            help="Label of the pseudopotential family; it recommends the cut-offs, unless the pw parameters "
            "of relax.base_relax name SYSTEM.ecutwfc and SYSTEM.ecutrho.",
        )  # fmt: skip
        spec.input(
            "cutoff_stringency", valid_type=orm.Str, required=False, serializer=orm.to_aiida_type,
            help="Which of the family's cut-offs: low, normal, high, where it has several. Left out, or a "
            "family that has no such set: its default.",
        )  # fmt: skip
        spec.input(
            "cutoff_elements", valid_type=orm.List, required=False, serializer=orm.to_aiida_type,
            help="Elements whose recommended cut-offs every crystal has at least, so that energies of one chemical "
            "space have one cut-off. Left out: those of the crystal.",
        )  # fmt: skip
        spec.input(
            "thresholds_per_atom", valid_type=orm.Dict, required=False, serializer=orm.to_aiida_type,
            help="conv_thr and etot_conv_thr in Ry per atom.",
        )  # fmt: skip
        spec.input(
            "spin_type", valid_type=orm.Str, default=lambda: orm.Str(SpinType.NONE.value),
            serializer=orm.to_aiida_type, validator=one_of(SPIN_TYPES),
            help="auto: spin-polarised where an element carries a moment, from a ferromagnetic start and from an "
            "antiferromagnetic one where the cell allows it, the lower kept; collinear: the same, and spin-polarised "
            "for all others; none: without spin.",
        )  # fmt: skip
        spec.input(
            "electronic_type", valid_type=orm.Str, default=lambda: orm.Str(ElectronicType.METAL.value),
            serializer=orm.to_aiida_type, validator=one_of(ELECTRONIC_TYPES),
            help="metal: smeared occupations, for insulators too; insulator: fixed ones.",
        )  # fmt: skip
        spec.input(
            "moments", valid_type=orm.Dict, required=False, serializer=orm.to_aiida_type,
            help="Starting moments (Bohr magnetons) in place of the engine's own: identifier -> kind -> moment.",
        )  # fmt: skip
        spec.input(
            "hubbard", valid_type=orm.Dict, required=False, serializer=orm.to_aiida_type, validator=check_hubbard,
            help="On-site U (eV): element -> manifold -> U, as {'Fe': {'3d': 4.0}}; needs pw.x 7.1 or later.",
        )  # fmt: skip
        pw_energy.define(spec)

    @classmethod
    def check(cls, inputs: Mapping[str, Any], ports: Any) -> str | None:
        """Return which input is missing, or which moments are for no crystal."""
        for name in (NAMESPACE, "pseudo_family", "thresholds_per_atom"):
            if name in ports and not inputs.get(name):
                return f"the engine {cls.name} needs the input {name}; get_builder_from_protocol fills it in"
        if "structures" in ports and "moments" in inputs:
            unknown = sorted(set(inputs["moments"].get_dict()) - set(inputs.get("structures", {})))
            if unknown:
                return f"moments for {', '.join(unknown)}, which are no structures; there are " + ", ".join(
                    sorted(inputs["structures"])
                )
        return None

    @classmethod
    def fill(
        cls, builder: ProcessBuilder, code: orm.AbstractCode, inputs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> None:
        """Set code, family, thresholds, spin and the inputs of PwRelaxWorkChain."""
        target: Any = builder
        family = load_family(inputs["pseudo_family"]) if inputs["pseudo_family"] else choose_family(install=False)
        scheduler = code.computer.scheduler_type if code.computer else "core.direct"
        target.pseudo_family = orm.Str(family.label)
        target.thresholds_per_atom = orm.Dict(inputs["thresholds_per_atom"])
        for name in ("spin_type", "electronic_type", "cutoff_stringency"):
            if inputs[name]:
                target[name] = orm.Str(inputs[name])
        if inputs["hubbard"]:
            target.hubbard = orm.Dict(inputs["hubbard"])
        if inputs["cutoff_elements"]:
            target.cutoff_elements = orm.List(list(inputs["cutoff_elements"]))
        for name in ("energy_kpoints_distance", "element_kpoints_distance"):
            if inputs[name]:
                target[name] = orm.Float(inputs[name])
        relax = inputs[NAMESPACE]
        check_keys(relax, PwRelaxWorkChain.spec().inputs, f"{NAMESPACE}.")
        for name in BASES:
            if name not in relax:
                continue
            pw = relax[name].setdefault("pw", {})
            pw["code"] = code
            pw["parameters"] = orm.Dict(pw["parameters"])
            metadata = pw.setdefault("metadata", {})
            metadata["options"] = recursive_merge(metadata.get("options", {}), dict(options))
            metadata["options"] = ProtocolMixin.set_default_resources(metadata["options"], scheduler)
        target[NAMESPACE] = relax

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        """Look the family up."""
        super().__init__(inputs)
        try:
            self.family = load_family(inputs["pseudo_family"].value)
        except FamilyError as exception:
            raise EngineError(str(exception), "ERROR_PSEUDO_FAMILY") from exception
        wanted = inputs["cutoff_stringency"].value if "cutoff_stringency" in inputs else None
        known = self.family.get_cutoff_stringencies()
        self.stringency = wanted if wanted in known else self.family.get_default_stringency()

    def describe(self) -> str:
        """Return family and cut-offs."""
        known = ", ".join(self.family.get_cutoff_stringencies())
        return f"cut-offs {self.stringency!r} of the family {self.family.label!r}, which has {known}"

    def starts(self, identifier: str, structure: orm.StructureData) -> Sequence[str]:
        """Return the magnetic orders to start from; one alone where spin is off or somebody chose it."""
        check_ordered(structure)
        spin = self.inputs["spin_type"].value
        system = self.inputs[NAMESPACE].base_relax.pw.parameters.get_dict().get("SYSTEM", {})
        if any(key in system for key in SPIN_KEYS) or identifier in self.moments():
            return (GIVEN,)
        if spin == SpinType.NONE.value:
            return (NONMAGNETIC,)
        found = magnetism.starting_order(structure)
        return (FERROMAGNETIC,) if spin == SpinType.COLLINEAR.value and found == (NONMAGNETIC,) else found

    def dress(self, structure: orm.StructureData, start: str) -> orm.StructureData:
        """Return the crystal with kinds for spin up and down, for an antiferromagnetic start."""
        return magnetism.tell_spins_apart(structure) if start == ANTIFERROMAGNETIC else structure

    def moments(self) -> dict[str, dict[str, float]]:
        """Return identifier -> kind -> moment that somebody chose."""
        return self.inputs["moments"].get_dict() if "moments" in self.inputs else {}

    def process(self, crystals: Mapping[str, orm.StructureData], start: str) -> tuple[type[Process], AttributeDict]:
        """Return a PwRelaxWorkChain with pseudopotentials, cut-offs, thresholds and spins of the crystal."""
        ((identifier, structure),) = crystals.items()
        check_ordered(structure)
        if "hubbard" in self.inputs:
            structure = with_hubbard(structure, self.inputs["hubbard"])
        try:
            elements = {kind.symbol for kind in structure.kinds} | set(self.inputs.get("cutoff_elements", None) or ())
            wfc, rho = self.family.get_recommended_cutoffs(
                elements=tuple(sorted(elements)), stringency=self.stringency, unit="Ry"
            )
            pseudos = self.family.get_pseudos(structure=structure)
        except ValueError as exception:  # an element that the family lacks
            raise CrystalError(f"{exception}; choose a pseudopotential family that has it") from exception
        inputs = AttributeDict(self.inputs[NAMESPACE])
        inputs.structure = structure
        for name in BASES:
            if name not in inputs:
                continue
            base = AttributeDict(inputs[name])
            base.pw = AttributeDict(base.pw)
            given = base.pw.parameters.get_dict()
            given = recursive_merge({"SYSTEM": {"ecutwfc": wfc, "ecutrho": rho}}, given)
            given = recursive_merge(self.thresholds(len(structure.sites)), given)
            if self.is_molecule(identifier):
                given = recursive_merge(given, {"CONTROL": {"calculation": "relax"}})
            base.pw.parameters = self.parameters(identifier, base.pw.code, structure, start, pseudos, given)
            base.pw.pseudos = pseudos
            pw_energy.set_kpoints(base, structure, self.is_molecule(identifier), self.inputs)
            inputs[name] = base
        return PwRelaxWorkChain, inputs

    def is_molecule(self, identifier: str) -> bool:
        """Whether a structure is a molecule in a box."""
        return "molecules" in self.inputs and identifier in self.inputs["molecules"].get_list()

    def energy(
        self, relaxation: orm.ProcessNode, identifier: str, structure: orm.StructureData
    ) -> tuple[type[Process], AttributeDict] | None:
        """Return the SCF on denser k-points, None where the energy of the relaxation is the one that counts."""
        if pw_energy.rule_of(self.inputs) is None:
            return None
        given = self.inputs[NAMESPACE].base_relax
        return pw_energy.energy_inputs(relaxation, structure, self.is_molecule(identifier), given, self.inputs)

    @classmethod
    def read_energy(cls, node: orm.ProcessNode) -> Relaxation:
        """Return energy and figures of the SCF, or why it failed."""
        if not node.is_finished_ok:
            return Relaxation(reason=explain_failure(node))
        outputs = pw_outputs.outputs_of(node)
        sources = {f"energy_{name}": outputs[name] for name in pw_outputs.SOURCES if name in outputs}
        return Relaxation(None, outputs["output_parameters"]["energy"], None, pw_outputs.figures(outputs), sources)

    def thresholds(self, atoms: int) -> dict[str, dict[str, float]]:
        """Return the thresholds of a crystal of so many atoms."""
        per_atom = self.inputs["thresholds_per_atom"].get_dict()
        return {
            "CONTROL": {"etot_conv_thr": atoms * per_atom["etot_conv_thr"]},
            "ELECTRONS": {"conv_thr": atoms * per_atom["conv_thr"]},
        }

    def parameters(
        self, identifier: str, code: orm.AbstractCode, structure: orm.StructureData, start: str,
        pseudos: Mapping[str, Any], given: dict[str, Any],
    ) -> orm.Dict:  # fmt: skip
        """Return the parameters that the protocol of aiida-quantumespresso makes of ours, of spin and occupations."""
        electronic = ElectronicType(self.inputs["electronic_type"].value)
        if electronic is ElectronicType.INSULATOR:
            system = {key: value for key, value in given["SYSTEM"].items() if key not in SMEARING_KEYS}
            given = {**given, "SYSTEM": system}
        polarised, chosen = start not in (NONMAGNETIC, GIVEN), None
        if identifier in self.moments():
            polarised, chosen = True, self.moments()[identifier]
            if missing := sorted(set(structure.get_kind_names()) ^ set(chosen)):
                raise CrystalError(
                    f"moments are given for {', '.join(chosen)}, the crystal has the kinds "
                    f"{', '.join(structure.get_kind_names())}; {', '.join(missing)} must be in both"
                )
        elif polarised and magnetism.carriers(structure):
            chosen = magnetism.moments(structure, start, magnetism.element_sizes())
        overrides = {"pw": {"parameters": given, "pseudos": dict(pseudos)}}
        kind = RELAX_TYPES.get(given.get("CONTROL", {}).get("calculation", "vc-relax"))
        if kind is None:
            raise CrystalError(f"CONTROL.calculation must be one of {', '.join(RELAX_TYPES)}")
        builder = PwRelaxWorkChain.get_builder_from_protocol(
            code, structure, overrides={"base_relax": overrides, "base_init_relax": overrides}, relax_type=kind,
            electronic_type=electronic, spin_type=SpinType.COLLINEAR if polarised else SpinType.NONE,
            initial_magnetic_moments=chosen,
        )  # fmt: skip
        parameters = builder.base_relax.pw.parameters.get_dict()
        if "CELL" in parameters and all(structure.pbc):  # which axes may change is the protocol's in a layer or a wire
            parameters["CELL"] = {**parameters["CELL"], **given.get("CELL", {})}
        return orm.Dict(parameters)

    @classmethod
    def read(cls, node: orm.ProcessNode, identifier: str) -> Relaxation:
        """Return structure, energy and figures, or the reason of the innermost process that failed."""
        if not node.is_finished_ok:
            return Relaxation(reason=explain_failure(node))
        if final_scf_exceeded(node):
            return Relaxation(reason=HINTS["ERROR_IONIC_CONVERGENCE_REACHED_EXCEPT_IN_FINAL_SCF"])
        outputs = pw_outputs.outputs_of(node)
        if reason := pw_outputs.ignored_hubbard(node, outputs):
            return Relaxation(reason=reason)
        sources = {name: outputs[name] for name in pw_outputs.SOURCES if name in outputs}
        figures = pw_outputs.figures(outputs)
        return Relaxation(outputs["output_structure"], outputs["output_parameters"]["energy"], None, figures, sources)

    def settings(self, node: orm.ProcessNode, identifier: str) -> Settings:
        """Return the settings, read from the inputs of the PwRelaxWorkChain."""
        return settings_of(node.inputs, self.inputs["spin_type"].value, pw_energy.rule_of(self.inputs))

    def expected_settings(self, elements: Iterable[str]) -> Settings:
        """Return the settings that energies of crystals of these elements will have."""
        order = NONMAGNETIC if self.inputs["spin_type"].value == SpinType.NONE.value else FERROMAGNETIC
        probe = orm.StructureData(cell=[[PROBE_CELL, 0, 0], [0, PROBE_CELL, 0], [0, 0, PROBE_CELL]])
        for number, symbol in enumerate(sorted(elements)):
            probe.append_atom(position=(number * 0.01, 0.0, 0.0), symbols=symbol)
        _, inputs = self.process({"probe": probe}, order)
        return settings_of(inputs, self.inputs["spin_type"].value, pw_energy.rule_of(self.inputs))

    @classmethod
    def may_be_tried_again(cls, node: orm.ProcessNode) -> bool:
        """Whether the job inside was cancelled, killed or lost with its node, or the cell was still changing."""
        return cut_off(node) or still_moving(node) is not None

    @classmethod
    def go_on(cls, inputs: AttributeDict, before: orm.ProcessNode) -> None:
        """Start from the last crystal of a relaxation whose cell was still changing."""
        if (last := still_moving(before)) is not None:
            inputs.structure = last

    @classmethod
    def note(cls, structure: orm.StructureData, starts: Sequence[str]) -> str | None:
        """Say where an element that carries a moment was computed without spin, or with one order only."""
        symbols = sorted({structure.get_kind(kind).symbol for kind in magnetism.carriers(structure)})
        if NONMAGNETIC in starts and symbols:
            return f"computed without spin, though {', '.join(symbols)} may carry a moment: the energy may be too high"
        if list(starts) == [FERROMAGNETIC] and symbols:
            return (
                f"the cell allows no antiferromagnetic order of {', '.join(symbols)}, and none was tried: another "
                "order may be lower"
            )
        return None


def one_of(accepted: Sequence[str]) -> Any:
    """Return a validator of a Str."""

    def validate(node: orm.Str, _: Any) -> str | None:
        return None if node.value in accepted else f"received {node.value!r}; accepted are {', '.join(accepted)}"

    return validate


def check_keys(given: Mapping[str, Any], ports: Any, path: str) -> None:
    """Refuse keys that name no input.

    :raises ValueError: names the key and what is accepted.
    """
    for key, value in given.items():
        if key not in ports:
            raise ValueError(f"{path}{key} is no input; accepted here: {', '.join(sorted(ports))}")
        if isinstance(ports[key], PortNamespace) and len(ports[key]) and isinstance(value, Mapping):
            check_keys(value, ports[key], f"{path}{key}.")
