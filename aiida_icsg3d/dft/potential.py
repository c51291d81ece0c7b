"""The engine for machine-learned potentials: one job of the stage ``relax`` for hundreds of crystals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import Process, ProcessBuilder

from icsg3d_models.crystals.batch import CrystalError as CannotKeepError
from icsg3d_models.relaxation.table import read_table
from icsg3d_models.settings.relax import Potential

from ..calculations.exit_codes import label_of
from ..calculations.failures.diagnosis import AGAIN, diagnose
from ..calculations.relax import JOURNAL, RelaxCalculation
from ..data.remote_files import is_there
from ..data.structures import crystal_of_node
from ..parsers.rebuild import link_label
from .engine import Engine, Relaxation
from .errors import CrystalError
from .fingerprint import Settings

NAMESPACE = "potential"
RELAXED = "relaxed"
LEFT_OUT = ("structures", "crystals_folder", "parent_folder")
FIGURES = {"pressure": "pressure_GPa", "fmax": "max_force_eV_per_angstrom"}
COLUMNS = (
    "estimated_formation_energy_per_atom", "estimated_e_above_hull", "spread", "dynamically_stable",
    "lowest_frequency", "left_prototype", "symmetry",
)  # fmt: skip


class PotentialEngine(Engine):
    """Relax cell and positions by a machine-learned potential."""

    name = "potential"
    batch = 200

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare ``potential``: code, settings and options of the job."""
        spec.expose_inputs(
            RelaxCalculation, namespace=NAMESPACE, exclude=LEFT_OUT,
            namespace_options={
                "required": False, "populate_defaults": False,
                "help": "Inputs of every RelaxCalculation; `settings` as in `icsg3d relax --help`.",
            },
        )  # fmt: skip

    @classmethod
    def check(cls, inputs: Mapping[str, Any], ports: Any) -> str | None:
        """Return that the namespace is missing."""
        if NAMESPACE in ports and not inputs.get(NAMESPACE):
            return f"the engine {cls.name} needs the input {NAMESPACE}; get_builder_from_protocol fills it in"
        return None

    @classmethod
    def fill(
        cls, builder: ProcessBuilder, code: orm.AbstractCode, inputs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> None:
        """Set code, settings and options of the job."""
        given: Any = inputs[NAMESPACE]
        unknown = sorted(set(given) - {"settings", "options"})
        if unknown:
            raise ValueError(f"{NAMESPACE}: {', '.join(unknown)} is not known; there are settings and options")
        RelaxCalculation.complete_settings(given["settings"], RelaxCalculation.assumed_files(given["settings"]))
        target: Any = builder
        target[NAMESPACE] = {
            "code": code,
            "settings": orm.Dict(given["settings"]),
            "metadata": {"options": {**given["options"], **options}},
        }

    def describe(self) -> str:
        """Return which potential."""
        return f"potential {potential_of(self.inputs[NAMESPACE]).name}, up to {self.batch} crystals a job"

    def starts(self, identifier: str, structure: orm.StructureData) -> Sequence[str]:
        """Refuse what a potential knows nothing of, and would lose: layers, magnetic kinds, Hubbard terms."""
        try:
            crystal_of_node(structure)
        except CannotKeepError as exception:
            raise CrystalError(f"{exception}; the engine {self.name} cannot take it") from None
        return super().starts(identifier, structure)

    def process(self, crystals: Mapping[str, orm.StructureData], start: str) -> tuple[type[Process], AttributeDict]:
        """Return a job for all these crystals."""
        labels = [link_label(name) for name in crystals]
        if len(set(labels)) != len(labels):
            raise CrystalError(f"two of {', '.join(crystals)} make one label; use letters, digits and single _")
        inputs = AttributeDict(self.inputs[NAMESPACE])
        inputs.metadata = AttributeDict(inputs.get("metadata", {}))
        inputs.structures = dict(crystals)
        return RelaxCalculation, inputs

    @classmethod
    def read(cls, node: orm.ProcessNode, identifier: str) -> Relaxation:
        """Return the crystal, its energy and what the table says of it."""
        outputs = node.outputs
        ended = f"{node.process_label}<{node.pk}> ended with {node.exit_status}: {node.exit_message or 'no message'}"
        if "table" not in outputs:
            return Relaxation(reason=ended)
        with outputs.table.as_path() as path:
            row = next((row for row in read_table(path) if row["id"] == identifier), None)
        if row is None:
            return Relaxation(reason=f"not reached: {ended}")
        if row["status"] != RELAXED:
            return Relaxation(reason=f"{row['status'].replace('_', ' ')}: {row['reason']}")
        figures = {name: row[column] for column, name in FIGURES.items() if row[column] is not None}
        figures |= {name: row[name] for name in COLUMNS if row[name] is not None}
        described = outputs.results.get_dict()["tables"].get("potential", {})
        figures["program_version"] = f"{row['potential']} {described.get('version', '')}".strip()
        structure = outputs.crystals[link_label(identifier)]
        return Relaxation(structure, row["energy"], None, figures, {"relax_table": outputs.table})

    def settings(self, node: orm.ProcessNode, identifier: str) -> Settings:
        """Return which potential made the energy, with what arguments."""
        symbols = node.inputs.structures[identifier].get_symbols_set()
        return settings_of(node.inputs, symbols)

    def expected_settings(self, elements: Iterable[str]) -> Settings:
        """Return the same before anything is computed."""
        return settings_of(self.inputs[NAMESPACE], elements)

    @classmethod
    def may_be_tried_again(cls, node: orm.ProcessNode) -> bool:
        """Whether the job was killed, lost with its node, or ended by its wall time before all crystals were done."""
        if node.is_killed or not isinstance(node, orm.CalcJobNode) or not node.is_failed:
            return bool(node.is_killed)
        return label_of(node) == "ERROR_WALLTIME" or diagnose(node).treatment == AGAIN

    @classmethod
    def go_on(cls, inputs: AttributeDict, before: orm.ProcessNode) -> None:
        """Take over the crystals that the job before has done, by its journal."""
        folder = before.outputs.remote_folder if "remote_folder" in before.outputs else None
        if folder is not None and is_there(folder, JOURNAL):
            inputs.parent_folder = folder

    @classmethod
    def note(cls, structure: orm.StructureData, starts: Any) -> str | None:
        """Return that it is not an energy of DFT."""
        return "the energy is that of a machine-learned potential, not of DFT"


def potential_of(inputs: Any) -> Potential:
    """Return the potential that the inputs of a job name."""
    settings = inputs["settings"].get_dict() if "settings" in inputs else {}
    return Potential.model_validate(settings.get("potential", {}))


def settings_of(inputs: Any, elements: Iterable[str]) -> Settings:
    """Return the settings of an energy: how a crystal was relaxed does not enter, only what its energy is of."""
    return Settings({"engine": PotentialEngine.name, **potential_of(inputs).model_dump()}, {s: {} for s in elements})
