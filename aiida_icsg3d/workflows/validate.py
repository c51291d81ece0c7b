"""Relax crystals by an engine, one process a crystal and start: failures recorded, the others go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.engine import Process, ProcessBuilder, ToContext, while_
from aiida.engine.processes import ExitCode

from ..calculations.exit_codes import declare
from ..dft.engine import Engine, Relaxation, task_label
from ..dft.engines import ENGINES, engine_class
from ..dft.errors import CrystalError, EngineError
from ..dft.quantum_espresso import QuantumEspresso
from ..dft.symmetry import check_ordered, symmetrise_structure
from .protocols import load_protocol
from .relaxations import FAILED, RELAXED, better_energy, collect_relaxations, outcome_of_starts, record_energy
from .window import WindowWorkChain


def validate_structures(structures: dict[str, orm.StructureData], _: Any) -> str | None:
    """Refuse a run without structures."""
    if not structures:
        return "no structures to relax; give at least one, by an identifier of letters, digits and _"
    return None


def validate_positive(node: orm.Int, _: Any) -> str | None:
    """Refuse zero and less."""
    return f"received {node.value}; it must be at least 1" if node.value < 1 else None


def validate_retries(node: orm.Int, _: Any) -> str | None:
    """Refuse less than zero."""
    return f"received {node.value}; it must be 0 or more" if node.value < 0 else None


def validate_engine(inputs: Mapping[str, Any], ports: Any) -> str | None:
    """Refuse an unknown engine, and what the engine chosen says is wrong."""
    try:
        chosen = engine_class(inputs["engine"].value)
    except ValueError as exception:
        return str(exception)
    return chosen.check(inputs, ports)


class ValidateWorkChain(WindowWorkChain):
    """Relax cell and positions of every structure and report what became of each."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input_namespace(
            "structures", valid_type=orm.StructureData, dynamic=True, validator=validate_structures,
            help="The crystals to relax, by identifier.",
        )  # fmt: skip
        spec.input(
            "engine", valid_type=orm.Str, default=lambda: orm.Str(QuantumEspresso.name), serializer=orm.to_aiida_type,
            help=f"What relaxes them: {', '.join(ENGINES)}.",
        )  # fmt: skip
        for engine in ENGINES.values():
            engine.define(spec)
        spec.inputs.validator = validate_engine
        spec.input(
            "symmetry_precision", valid_type=orm.Float, required=False, serializer=orm.to_aiida_type,
            help="Å; symmetrise each crystal within this tolerance first. Left out: relax it as it is.",
        )  # fmt: skip
        spec.input(
            "max_concurrent", valid_type=orm.Int, default=lambda: orm.Int(2), serializer=orm.to_aiida_type,
            validator=validate_positive, help="How many relaxations run at a time: as one ends, the next begins.",
        )  # fmt: skip
        spec.input(
            "max_retries", valid_type=orm.Int, default=lambda: orm.Int(2), serializer=orm.to_aiida_type,
            validator=validate_retries,
            help="How often a relaxation is tried again whose job was cancelled, killed or lost with its node, or that "
            "goes on from its last crystal because the cell was still changing.",
        )  # fmt: skip
        loop: Any = while_(cls.should_go_on)  # type: ignore[arg-type]
        spec.outline(cls.setup, loop(cls.launch, cls.inspect), cls.results)
        spec.output_namespace(
            "relaxed", valid_type=orm.StructureData, dynamic=True, required=False,
            help="The relaxed crystals, by the identifier of the input.",
        )  # fmt: skip
        spec.output_namespace(
            "energies", valid_type=orm.Dict, dynamic=True, required=False,
            help="By identifier: energy, formula, settings and their hash, to be found by a query.",
        )  # fmt: skip
        spec.output(
            "results", valid_type=orm.Dict,
            help="By identifier: status, reason, exit_status, workchain_uuid, engine, start and, where relaxed, energy "
            "(eV), volumes (Å³), a, b, c (Å), space group, displacement (Å), magnetic order, what else the engine "
            "says (magnetisation, gap, pressure, force), settings; with several starts, all of them.",
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
        spin_type: str | None = None,
        electronic_type: str | None = None,
        hubbard: Mapping[str, Mapping[str, float]] | None = None,
    ) -> ProcessBuilder:
        """Return a builder filled in by a protocol.

        :param code: code of the engine, or its label.
        :param structures: identifier -> crystal; may be set on the builder later.
        :param protocol: fast, balanced or stringent; default: fast.
        :param pseudo_family: label; default: what :func:`aiida_icsg3d.dft.pseudos.choose_family` finds installed.
        :param overrides: inputs that replace those of the protocol, in the layout of protocols/validate.yaml.
        :param options: ``metadata.options`` of every job.
        :param spin_type: ``auto``, ``none`` or ``collinear``; default: that of the protocol.
        :param electronic_type: ``metal`` or ``insulator``; default: that of the protocol.
        :param hubbard: element -> manifold -> on-site U (eV).
        :raises ValueError: unknown protocol, key, value or family.
        """
        inputs = load_protocol("validate", protocol, overrides)
        given = {"pseudo_family": pseudo_family, "spin_type": spin_type, "electronic_type": electronic_type,
                 "hubbard": {k: dict(v) for k, v in hubbard.items()} if hubbard else None}  # fmt: skip
        inputs.update({key: value for key, value in given.items() if value is not None})
        engine = engine_class(inputs["engine"])
        builder = cls.get_builder()
        if structures is not None:
            builder.structures = structures
        builder.engine = orm.Str(engine.name)
        builder.max_concurrent = orm.Int(inputs["max_concurrent"])
        builder.max_retries = orm.Int(inputs["max_retries"])
        if inputs["symmetry_precision"]:
            builder.symmetry_precision = orm.Float(inputs["symmetry_precision"])
        engine.fill(builder, orm.load_code(code) if isinstance(code, str) else code, inputs, options or {})
        return builder

    def engine(self) -> Engine:
        """Return the engine of this run.

        :raises EngineError: it cannot be used.
        """
        return engine_class(self.inputs.engine.value)(self.inputs)

    def setup(self) -> ExitCode | None:
        """Ask the engine whether it can be used, and queue the structures."""
        try:
            self.report(self.engine().describe())
        except EngineError as exception:
            return self.exit_codes[exception.label].format(reason=str(exception))
        self.ctx.waiting = sorted(self.inputs.structures)
        self.ctx.tasks = []  # that can begin: label, crystals, start; a better energy: without start
        self.ctx.launched = {}  # key in the context -> task, of all that have been started
        self.ctx.tries = {}  # key -> how often
        self.ctx.prepared = {}  # label of a crystal and start -> crystal as the engine gets it
        self.ctx.refused = {}  # identifier -> reason
        self.ctx.starts = {}  # identifier -> labels of its relaxations that have not ended
        return None

    def should_launch(self) -> bool:
        """Whether something is left to begin."""
        return bool(self.ctx.waiting or self.ctx.tasks)

    def should_go_on(self) -> bool:
        """Whether something is left to begin or to end."""
        return self.should_launch() or bool(self.running)

    def launch(self) -> ToContext | None:
        """Begin relaxations and energies until as many run as may."""
        engine = self.engine()
        while len(self.running) < self.inputs.max_concurrent.value and self.should_launch():
            if not self.ctx.tasks:
                self.prepare(engine)
                continue
            self.begin_task(engine, self.ctx.tasks.pop(0))
        return self.still_running()

    def begin_task(self, engine: Engine, task: dict[str, Any]) -> None:
        """Begin a relaxation, or the better energy of a relaxed crystal."""
        start, crystals, label = task["start"], task["crystals"], task["label"]
        if start is None:
            begun = self.energy_of(engine, crystals[0])
            key = f"energy_{label}"
        else:
            try:
                begun = engine.process({name: self.ctx.prepared[task_label([name], start)] for name in crystals}, start)
            except CrystalError as exception:
                self.refuse(crystals, exception)
                self.queue_energies(task)
                return
            key = f"relaxation_{label}"
        if begun is None:
            return
        process, inputs = begun
        if isinstance(before := self.ctx.get(key), orm.ProcessNode):
            engine.go_on(inputs, before)
        link = key.replace("relaxation_", "relax_", 1) if start is not None else key
        inputs.setdefault("metadata", {})["call_link_label"] = link
        node = self.begin(key, process, **inputs)
        self.ctx.launched[key] = task
        self.report(f"launching {process.__name__}<{node.pk}> for {', '.join(crystals)}, {start or 'energy'}")

    def prepare(self, engine: Engine) -> None:
        """Make tasks of the next structures: symmetrised, and one task for each start."""
        taken, self.ctx.waiting = self.ctx.waiting[: engine.batch], self.ctx.waiting[engine.batch :]
        by_start: dict[str, list[str]] = {}
        for identifier in taken:
            given = self.inputs.structures[identifier]
            try:
                check_ordered(given)
                dressed = {start: engine.dress(given, start) for start in engine.starts(identifier, given)}
            except CrystalError as exception:
                self.refuse([identifier], exception)
                continue
            for start, structure in dressed.items():
                label = task_label([identifier], start)
                kept = engine.is_molecule(identifier)  # its box has a symmetry that means nothing
                self.ctx.prepared[label] = structure if kept else self.symmetrise(structure, label)
                by_start.setdefault(start, []).append(identifier)
        for start, crystals in by_start.items():
            label = task_label(crystals, start)
            self.ctx.tasks.append({"label": label, "crystals": crystals, "start": start})
            for identifier in crystals:
                self.ctx.starts.setdefault(identifier, []).append(label)

    def symmetrise(self, structure: orm.StructureData, label: str) -> orm.StructureData:
        """Return a crystal symmetrised as the inputs say."""
        if "symmetry_precision" not in self.inputs:
            return structure
        metadata = {"call_link_label": f"symmetrise_{label}"}
        made: orm.StructureData = symmetrise_structure(
            structure,
            self.inputs.symmetry_precision,
            metadata=metadata,  # type: ignore[call-arg]
        )
        return made

    def refuse(self, identifiers: list[str], reason: CrystalError) -> None:
        """Record crystals that the engine cannot take."""
        for identifier in identifiers:
            self.ctx.refused[identifier] = str(reason)
            self.report(f"{identifier} cannot be relaxed: {reason}")

    def inspect(self) -> None:
        """Queue again what did not come to its end, and the energies of crystals of which all relaxations ended.

        Nothing is wrong with a crystal whose job was cancelled, or that starts far from where it ends.
        """
        engine = self.engine()
        for key, node in self.ended().items():
            task, tried = self.ctx.launched[key], self.ctx.tries.get(key, 0)
            if tried < self.inputs.max_retries.value and engine.may_be_tried_again(node):
                self.ctx.tries[key] = tried + 1
                self.ctx.tasks.insert(0, task)
                self.report(f"{node.process_label}<{node.pk}> did not come to its end; {task['label']} goes on")
                continue
            self.queue_energies(task)

    def queue_energies(self, task: dict[str, Any]) -> None:
        """Queue the better energies of the crystals of a task that has ended, where it was their last relaxation."""
        for identifier in task["crystals"] if task["start"] is not None else ():
            left = [label for label in self.ctx.starts[identifier] if label != task["label"]]
            self.ctx.starts[identifier] = left
            if not left:
                self.ctx.tasks.append({"label": identifier, "crystals": [identifier], "start": None})

    def found(
        self, engine: Engine, only: str | None = None
    ) -> dict[str, dict[str, tuple[orm.ProcessNode, Relaxation]]]:
        """Return identifier -> start -> its process and what became of the crystal there.

        :param only: of one crystal.
        """
        tried: dict[str, dict[str, tuple[orm.ProcessNode, Relaxation]]] = {}
        for key, task in self.ctx.launched.items():
            for identifier in task["crystals"] if task["start"] is not None else ():
                if only in (None, identifier):
                    node = self.ctx[key]
                    tried.setdefault(identifier, {})[task["start"]] = (node, engine.read(node, identifier))
        return tried

    def energy_of(self, engine: Engine, identifier: str) -> tuple[type[Process], Any] | None:
        """Return the process of the better energy of a crystal and its inputs; None: not relaxed, or none is needed."""
        tried = self.found(engine, only=identifier).get(identifier)
        if not tried:  # refused from all starts
            return None
        outcome = outcome_of_starts(tried, type(engine))
        if outcome["status"] != RELAXED:
            return None
        node, relaxation = tried[outcome["start"]]
        assert relaxation.structure is not None
        return engine.energy(node, identifier, relaxation.structure)

    def results(self) -> ExitCode | None:
        """Attach the relaxed crystals and the table of all of them."""
        engine = self.engine()
        tried, outcomes, sources = self.found(engine), {}, {}
        relaxed: dict[str, Any] = {}
        for identifier in sorted(self.inputs.structures):
            if identifier not in tried:
                outcome = {"status": FAILED, "reason": self.ctx.refused[identifier], "exit_status": None,
                           "workchain_uuid": None}  # fmt: skip
            else:
                outcome = outcome_of_starts(tried[identifier], type(engine))
            if outcome["status"] == RELAXED:
                node, relaxation = tried[identifier][outcome["start"]]
                if f"energy_{identifier}" in self.ctx:
                    relaxation = better_energy(outcome, relaxation, engine, self.ctx[f"energy_{identifier}"])
            if outcome["status"] == RELAXED:
                outcome["settings"] = engine.settings(node, identifier).as_dict()
                relaxed[identifier], sources[identifier] = relaxation.structure, dict(relaxation.sources)
            else:
                self.report(f"{identifier} failed: {outcome['reason']}")
            outcomes[identifier] = outcome
        nodes = {"relaxed": relaxed, "sources": sources} if relaxed else {}
        table = collect_relaxations(orm.Dict(outcomes), generated=dict(self.inputs.structures), **nodes)
        if relaxed:
            self.out("relaxed", relaxed)
            energies = {
                name: record_energy(crystal, orm.Dict(outcomes[name]), **sources[name])
                for name, crystal in relaxed.items()
            }
            self.out("energies", energies)
        self.out("results", table)
        if not relaxed:
            reason = next(iter(outcomes.values()))["reason"]
            return self.exit_codes.ERROR_ALL_RELAXATIONS_FAILED.format(count=len(outcomes), reason=reason)
        return None
