"""Energies of elements and competing phases with the settings of a campaign: each is computed once a setting."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessBuilder, ToContext, WorkChain, if_

from ...calculations.exit_codes import declare
from ...calculations.relax import RelaxCalculation
from ...dft.engine import CrystalError, EngineError
from ...dft.engines import engine_class
from ...dft.known_energies import elements_of, generated_ones, known_energies
from ..discover_builder import fill
from ..relaxations import RELAXED
from ..validate import ValidateWorkChain
from .guessing import decorate_prototypes, fill_ranking, ranked
from .phase_structures import element_structure, prototype_structure

OF_ONE_CRYSTAL = ("structures", "molecules", "moments")
"""Inputs of a ValidateWorkChain that belong to crystals, not to how energies are computed."""
MOST_SITES = 14
MOST_PROTOTYPES = 2  # of one formula: the library often holds two polymorphs of which either may be the lower


class ReferencesWorkChain(WorkChain):
    """Find the energies of elements and competing phases in the profile, and compute those that are not there."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.expose_inputs(
            ValidateWorkChain, namespace="validation", exclude=OF_ONE_CRYSTAL,
            namespace_options={"help": "How energies are computed: as those of the candidates."},
        )  # fmt: skip
        spec.expose_inputs(
            RelaxCalculation, namespace="ranking", exclude=("structures", "crystals_folder", "parent_folder"),
            namespace_options={
                "required": False, "populate_defaults": False,
                "help": "A potential that finds the lowest prototype of a compound whose own structure is not known; "
                "left out: such compounds are missing.",
            },
        )  # fmt: skip
        spec.input("elements", valid_type=orm.List, serializer=orm.to_aiida_type, help="Elements of the hull.")
        spec.input(
            "formulas", valid_type=orm.List, default=lambda: orm.List([]), serializer=orm.to_aiida_type,
            help="Compounds of these elements that the hull should hold; their structures are taken from the AFLOW "
            "prototypes, where those hold the compound itself.",
        )  # fmt: skip
        spec.input_namespace(
            "structures", valid_type=orm.StructureData, dynamic=True, required=False,
            help="Structures of competing phases of your own, by an identifier of letters, digits and _.",
        )  # fmt: skip
        spec.input(
            "compute", valid_type=orm.Bool, default=lambda: orm.Bool(True), serializer=orm.to_aiida_type,
            help="Compute what the profile does not hold; false: only look it up.",
        )  # fmt: skip
        spec.input(
            "most_sites", valid_type=orm.Int, default=lambda: orm.Int(MOST_SITES), serializer=orm.to_aiida_type,
            help="Leave structures with more sites out.",
        )  # fmt: skip
        steps: Any = cls
        spec.outline(
            steps.look_up,
            steps.choose,
            if_(steps.should_rank)(steps.rank, steps.take_lowest),
            if_(steps.should_compute)(steps.compute),
            steps.results,
        )
        spec.output_namespace(
            "energies", valid_type=orm.Dict, dynamic=True, required=False, help="All energies, found and computed."
        )
        spec.output("missing", valid_type=orm.Dict, help="Element or compound -> why there is no energy of it.")
        declare(spec, "ERROR_PSEUDO_FAMILY")

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: orm.AbstractCode | str,
        elements: list[str],
        formulas: list[str] | None = None,
        structures: dict[str, orm.StructureData] | None = None,
        *,
        compute: bool = True,
        most_sites: int | None = None,
        ranking_code: orm.AbstractCode | None = None,
        ranking: dict[str, Any] | None = None,
        protocol: str | None = None,
        **validation: Any,
    ) -> ProcessBuilder:
        """Return a builder filled in by a protocol of the DFT.

        :param code: of the engine, or its label.
        :param structures: competing phases of your own, by identifier.
        :param ranking_code: code of icsg3d with a potential: structures of compounds that nobody gave, and that the
            prototypes do not hold, are guessed; ``ranking``: settings of the stage relax for it.
        :param validation: what :meth:`.validate.ValidateWorkChain.get_builder_from_protocol` takes.
        :raises ValueError: unknown protocol, key, value or family.
        """
        overrides = {"cutoff_elements": sorted(elements), **(validation.pop("overrides", None) or {})}
        filled = ValidateWorkChain.get_builder_from_protocol(code, protocol=protocol, overrides=overrides, **validation)
        builder = cls.get_builder()
        fill(builder["validation"], filled, "metadata", *OF_ONE_CRYSTAL)
        builder.elements = orm.List(sorted(elements))
        builder.formulas = orm.List(formulas or [])
        if structures:
            builder.structures = structures
        builder.compute = orm.Bool(compute)
        if most_sites is not None:
            builder.most_sites = orm.Int(most_sites)
        if ranking_code is not None:
            fill_ranking(builder, ranking_code, ranking or {})
        return builder

    def look_up(self) -> ExitCode | None:
        """Find the energies that the profile holds."""
        try:
            engine = engine_class(self.inputs.validation.engine.value)(self.inputs.validation)
        except EngineError as exception:
            return self.exit_codes[exception.label].format(reason=str(exception))
        self.ctx.missing, self.ctx.known, self.ctx.structures = {}, [], {}
        for symbol in self.inputs.elements.get_list():
            try:  # one at a time: what the engine lacks of one says nothing of the others
                engine.expected_settings([symbol])
            except CrystalError as exception:
                self.ctx.missing[symbol] = str(exception)
        self.ctx.elements = sorted(set(self.inputs.elements.get_list()) - set(self.ctx.missing))
        if self.ctx.elements:
            self.ctx.known = known_energies(engine.expected_settings(self.ctx.elements), self.ctx.elements)
        names = ", ".join(sorted(self.known_formulas())) or "none"
        self.report(f"{len(self.ctx.known)} energies of these settings are in the profile, references of: {names}")
        return None

    def known_formulas(self) -> set[str]:
        """Return the reduced formulas of which a reference is known, elements by their symbols.

        The energy of a generated crystal takes part in the hull, but it is no reference of its formula: the crystal
        may be another structure of a known compound, whose own is then still needed.
        """
        from pymatgen.core import Composition

        made = generated_ones(self.ctx.known)
        formulas = [node.get_dict()["formula"] for node in self.ctx.known if node.pk not in made]
        return {one if len(elements_of(one)) > 1 else str(Composition(one).elements[0]) for one in formulas}

    def choose(self) -> None:
        """Make the structures of what is not known."""
        known = self.known_formulas()
        for symbol in self.ctx.elements:
            if symbol not in known:
                self.add_element(symbol)
        for formula in self.inputs.formulas.get_list():
            self.add_compound(formula, known)
        for identifier, structure in self.inputs.get("structures", {}).items():
            self.add(identifier, structure)
        if self.ctx.structures and not self.inputs.compute.value:
            for identifier in self.ctx.structures:
                self.ctx.missing[identifier] = "not in the profile, and nothing was to be computed"

    def add_element(self, symbol: str) -> None:
        """Add the ground state of an element."""
        from icsg3d_models.phases.elemental import NoGroundStateError, ground_state

        try:
            ground = ground_state(symbol)
        except NoGroundStateError as exception:
            self.ctx.missing[symbol] = str(exception)
            return
        if len(ground.structure) > self.inputs.most_sites.value:
            self.ctx.missing[symbol] = too_large(len(ground.structure), self.inputs.most_sites.value)
            return
        metadata = {"call_link_label": f"element_{symbol}"}
        self.add(symbol, element_structure(orm.Str(symbol), metadata=metadata))  # type: ignore[call-arg]
        if ground.molecule:
            self.ctx.molecules = [*self.ctx.get("molecules", []), symbol]
        if ground.molecule and ground.magnetisation:
            self.ctx.moments = {**self.ctx.get("moments", {}), symbol: {symbol: ground.magnetisation}}

    def add_compound(self, formula: str, known: set[str]) -> None:
        """Add a compound in the structures that are measured, where it is not known and its elements are."""
        from pymatgen.core import Composition

        from icsg3d_models.phases.prototypes import structures_of

        reduced = Composition(formula).reduced_formula
        if reduced in known or not elements_of(formula) <= set(self.ctx.elements):
            return
        given = self.inputs.get("structures", {}).values()
        if any(one.get_pymatgen().composition.reduced_formula == reduced for one in given):
            return
        measured = list(enumerate(structures_of(formula, measured=True)))
        small = [(i, one) for i, one in measured if len(one.structure) <= self.inputs.most_sites.value]
        if not measured and "ranking" in self.inputs and self.inputs.compute.value:
            self.add_guesses(reduced)
        elif not small:
            self.ctx.missing[reduced] = (
                too_large(min(len(one.structure) for _, one in measured), self.inputs.most_sites.value)
                if measured
                else "its structure is not among the prototypes; give it as one of `structures`"
            )
        for number, _ in small[:MOST_PROTOTYPES]:
            metadata = {"call_link_label": f"prototype_{reduced}_{number}"}
            structure = prototype_structure(  # type: ignore[call-arg]
                orm.Str(formula), orm.Int(number), metadata=metadata
            )
            self.add(f"{reduced}_{number}", structure)

    def add_guesses(self, formula: str) -> None:
        """Add the prototypes of a compound to what the potential ranks."""
        metadata = {"call_link_label": f"prototypes_{formula}"}
        found = decorate_prototypes(  # type: ignore[call-arg]
            orm.Str(formula), orm.Int(self.inputs.most_sites.value), metadata=metadata
        )
        if not found:
            self.ctx.missing[formula] = "no prototype of its kind is small enough; give its structure in `structures`"
            return
        self.ctx.guesses = {**self.ctx.get("guesses", {}), **found}
        self.ctx.guessed = [*self.ctx.get("guessed", []), formula]

    def should_rank(self) -> bool:
        """Whether a potential has to find the lowest prototype of a compound."""
        return bool(self.ctx.get("guesses"))

    def rank(self) -> ToContext:
        """Relax the prototypes with the potential, all in one job."""
        inputs = AttributeDict(self.exposed_inputs(RelaxCalculation, "ranking"))
        inputs.structures = self.ctx.guesses
        inputs.setdefault("metadata", AttributeDict()).call_link_label = "ranking"
        node = self.submit(RelaxCalculation, **inputs)
        self.report(f"launching RelaxCalculation<{node.pk}> for prototypes of {', '.join(self.ctx.guessed)}")
        return ToContext(ranking=node)

    def take_lowest(self) -> None:
        """Add the lowest prototypes to what is computed."""
        chosen, missing = ranked(self.ctx.ranking, self.ctx.guessed)
        self.ctx.missing.update(missing)
        for identifier, structure in chosen.items():
            self.add(identifier, structure)

    def add(self, identifier: str, structure: orm.StructureData) -> None:
        """Add a structure to what is computed, unless its energy is known."""
        if not self.is_known(structure):
            self.ctx.structures = {**self.ctx.structures, identifier: structure}

    def is_known(self, structure: orm.StructureData) -> bool:
        """Whether the profile holds the energy of this crystal."""
        from pymatgen.analysis.structure_matcher import StructureMatcher

        mine = structure.get_pymatgen()
        matcher = StructureMatcher()
        for node in self.ctx.known:
            content = node.get_dict()
            if content["formula"] == mine.composition.reduced_formula:
                other = orm.load_node(content["structure_uuid"]).get_pymatgen()
                if matcher.fit(mine, other):
                    return True
        return False

    def should_compute(self) -> bool:
        """Whether anything is to be computed."""
        return bool(self.ctx.structures) and self.inputs.compute.value

    def compute(self) -> ToContext:
        """Relax what is not known and compute its energies."""
        inputs = AttributeDict(self.exposed_inputs(ValidateWorkChain, "validation"))
        inputs.structures = self.ctx.structures
        for name, node in (("molecules", orm.List), ("moments", orm.Dict)):
            if self.ctx.get(name):
                inputs[name] = node(self.ctx[name])
        inputs.setdefault("metadata", AttributeDict()).call_link_label = "energies"
        running = self.submit(ValidateWorkChain, **inputs)
        self.report(f"launching ValidateWorkChain<{running.pk}> for {', '.join(sorted(self.ctx.structures))}")
        return ToContext(computed=running)

    def results(self) -> None:
        """Attach all energies, and what is missing with the reason."""
        energies = list(self.ctx.known)
        if "computed" in self.ctx:
            outputs = self.ctx.computed.outputs
            energies += list(outputs.energies.values()) if "energies" in outputs else []
            table = outputs.results.get_dict() if "results" in outputs else {}
            for identifier in self.ctx.structures:
                outcome = table.get(identifier, {"status": None, "reason": self.ctx.computed.exit_message})
                if outcome["status"] != RELAXED:
                    self.ctx.missing[identifier] = str(outcome["reason"])
        if energies:
            self.out("energies", {f"{node.get_dict()['formula']}_{node.pk}": node for node in energies})
        self.out("missing", orm.Dict(self.ctx.missing).store())


def too_large(sites: int, most: int) -> str:
    """Return why a structure is left out."""
    return f"{sites} sites, more than `most_sites`, {most}; raise it, or give the structure"
