"""WorkChain of it all: (train ->) generate -> screen -> pre-relax -> relax by DFT -> verdict -> phonons -> summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common import AttributeDict
from aiida.engine import ExitCode, Process, ProcessBuilder, ToContext, WorkChain, if_
from aiida.orm import Bool, Dict, Int, ProcessNode, SinglefileData, StructureData, to_aiida_type

from icsg3d_models.screening.selection import DEFAULT_SHARES, check_shares

from ..calculations.chain.parts import ports_of
from ..calculations.exit_codes import declare, failed_child
from ..calculations.relax import RelaxCalculation
from ..data import TrainedModelData
from ..parsers.rebuild import link_label
from .choosing import choose_candidates, crystal
from .cleaning import clean_called
from .discover_builder import fill_discovery
from .discover_checks import validate_discovery, validate_selection
from .generate import GenerateWorkChain
from .screen import ScreenWorkChain
from .stability.minima import MinimaWorkChain, best_relaxed
from .stability.references import OF_ONE_CRYSTAL
from .stability.verdict import VerdictWorkChain
from .stages.stage import RelaxStage, last_job
from .summary import gathered, summarise_run
from .train_all import TrainAllWorkChain
from .validate import ValidateWorkChain

MODELS = {"vae": ("sample", "vae"), "prior": ("sample", "prior"), "unet": ("segment", "unet")}
"""Model -> where the generation takes it."""


class DiscoverWorkChain(WorkChain):
    """Generate crystals, screen them, and relax the best by DFT; train the models first where a dataset is given."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        left_out = {"required": False, "populate_defaults": False}
        spec.expose_inputs(
            TrainAllWorkChain, namespace="train",
            namespace_options={**left_out, "help": "Train the models first; leave out where `models` are given."},
        )  # fmt: skip
        spec.input_namespace("models", required=False, help="Trained models; leave out where they are trained first.")
        for name in MODELS:
            spec.input(f"models.{name}", valid_type=TrainedModelData, required=False)
        spec.input_namespace(
            "models.predictors", valid_type=TrainedModelData, dynamic=True, required=False,
            help="Property models of the screening, by a name.",
        )  # fmt: skip
        spec.expose_inputs(
            GenerateWorkChain, namespace="generate",
            exclude=[".".join(path) for path in MODELS.values()] + ["clean_workdir", "screen"],
        )  # fmt: skip
        spec.expose_inputs(
            ScreenWorkChain, namespace="screen",
            exclude=("screen.crystals_folder", "screen.predictors", "clean_workdir"),
        )  # fmt: skip
        spec.expose_inputs(
            RelaxCalculation, namespace="prerelax", exclude=("crystals_folder", "structures", "parent_folder"),
            namespace_options={
                **left_out,
                "help": "Relax the selected candidates with a machine-learned potential first, rank them by the "
                "energy above the hull that it estimates, and start the DFT from there; left out: neither.",
            },
        )  # fmt: skip
        spec.expose_inputs(
            ValidateWorkChain, namespace="validation", exclude=("structures",),
            namespace_options={**left_out, "help": "Inputs of the DFT; needed where `n_relaxations` is above 0."},
        )  # fmt: skip
        spec.expose_inputs(
            VerdictWorkChain, namespace="verdict", exclude=("candidates", "references.validation"),
            namespace_options={
                **left_out,
                "help": "Judge what is relaxed against its competing phases, with energies as those of `validation`; "
                "left out: no verdict.",
            },
        )  # fmt: skip
        spec.input(
            "n_relaxations", valid_type=Int, default=lambda: Int(2), serializer=to_aiida_type,
            help="How many of the selected candidates to relax by DFT, best first; 0: none.",
        )  # fmt: skip
        spec.input(
            "n_phonons", valid_type=Int, default=lambda: Int(0), serializer=to_aiida_type,
            help="Of how many of the relaxed crystals pw.x computes phonons, the lowest above the hull first.",
        )  # fmt: skip
        spec.expose_inputs(
            MinimaWorkChain, namespace="phonons", exclude=("structures",),
            namespace_options={"help": "How: supercell, displacement, whether an imaginary mode is followed."},
        )  # fmt: skip
        spec.input(
            "selection", valid_type=Dict, default=lambda: Dict(DEFAULT_SHARES), serializer=to_aiida_type,
            validator=validate_selection,
            help="Shares of those that go to DFT after a pre-relaxation: `best` by the estimated energy above the "
            "hull, `diverse` the best of other formulas, `uncertain` where two potentials disagree most.",
        )  # fmt: skip
        spec.input(
            "clean_workdir", valid_type=Bool, default=lambda: Bool(False), serializer=to_aiida_type,
            help="Remove fields, segments and checkpoints at the end.",
        )  # fmt: skip
        spec.inputs.validator = validate_discovery
        steps: Any = cls
        spec.outline(
            if_(steps.should_train)(steps.train),
            steps.generate,
            steps.screen,
            steps.select,
            if_(steps.should_prerelax)(steps.prerelax),
            steps.choose,
            if_(steps.should_relax)(
                steps.relax, if_(steps.should_judge)(steps.judge), if_(steps.should_shake)(steps.shake)
            ),
            steps.results,
        )
        spec.output("summary", valid_type=Dict, required=False, help="`funnel` and `candidates`, best first.")
        spec.output("table", valid_type=SinglefileData, required=False, help="screening.csv, one row a crystal.")
        spec.output_namespace(
            "relaxed", valid_type=StructureData, dynamic=True, required=False, help="Relaxed crystals by id."
        )
        spec.output_namespace(
            "prerelaxed", valid_type=StructureData, dynamic=True, required=False,
            help="Candidates as the potential left them, by id.",
        )  # fmt: skip
        spec.output("prerelaxation", valid_type=Dict, required=False, help="How they stand, and which were chosen.")
        spec.output("verdicts", valid_type=Dict, required=False, help="What DFT says of the relaxed crystals, by id.")
        spec.output("modes", valid_type=Dict, required=False, help="What phonons say of the best of them, by id.")
        declare(
            spec,
            "ERROR_TRAIN_FAILED", "ERROR_GENERATE_FAILED", "ERROR_SCREEN_FAILED", "ERROR_VALIDATE_FAILED",
            "ERROR_NOTHING_REBUILT",
            ERROR_NOTHING_VALID="no candidate passed the screening, {label}<{pk}>; the funnel was {funnel}. Draw more "
            "samples, allow more elements, or require less in `screen.settings.require`",
            ERROR_ALL_RELAXATIONS_FAILED="{label}<{pk}>: {message}",
        )  # fmt: skip

    @classmethod
    def get_builder_from_protocol(cls, codes: Mapping[str, Any], **kwargs: Any) -> ProcessBuilder:
        """Return a builder filled in by a protocol; see :func:`.discover_builder.fill_discovery`."""
        builder = cls.get_builder()
        fill_discovery(builder, codes, **kwargs)
        return builder

    def launch(self, process: type[Process], name: str, inputs: Mapping[str, Any]) -> ToContext:
        """Submit the process of a stage."""
        inputs = AttributeDict(inputs)
        inputs.setdefault("metadata", AttributeDict()).call_link_label = name
        node = self.submit(process, **inputs)
        self.report(f"launching {process.__name__}<{node.pk}>")
        return ToContext(**{name: node})

    def failure(self, name: str, label: str | None = None) -> ExitCode:
        """Attach the summary as far as the run got, and return the exit code of a stage that failed."""
        node: ProcessNode = self.ctx[name]
        self.attach_summary()
        return failed_child(self.exit_codes, label or f"ERROR_{name.upper()}_FAILED", node)

    def should_train(self) -> bool:
        """Tell whether the models are to be trained."""
        return "train" in self.inputs

    def train(self) -> ToContext:
        """Train all models."""
        return self.launch(TrainAllWorkChain, "train", self.exposed_inputs(TrainAllWorkChain, "train"))

    def generate(self) -> ToContext | ExitCode:
        """Generate crystals with the models given or just trained."""
        models = self.inputs.get("models", {})
        if "train" in self.ctx:
            if not self.ctx.train.is_finished_ok:
                return self.failure("train")
            models = self.ctx.train.outputs
        inputs = AttributeDict(self.exposed_inputs(GenerateWorkChain, "generate"))
        for name, (stage, port) in MODELS.items():
            if name in models:
                inputs[stage][port] = models[name]
        if "chain" in inputs:  # one job for all, with the screening
            inputs.screen = {name: one for name, one in self.screening().screen.items() if name in ports_of("screen")}
        return self.launch(GenerateWorkChain, "generate", inputs)

    def screening(self) -> AttributeDict:
        """Return the inputs of the screening, with the models given or just trained."""
        inputs = AttributeDict(self.exposed_inputs(ScreenWorkChain, "screen"))
        trained = {"trained": self.ctx.train.outputs.cgcnn} if "train" in self.ctx else None
        inputs.screen.predictors = trained or self.inputs.models.predictors
        return inputs

    def screen(self) -> ToContext | ExitCode | None:
        """Screen the crystals."""
        node = self.ctx.generate
        if "chain" in self.inputs.generate and "selected" in node.outputs:  # that job screened them
            self.ctx.screen = node
            return None
        if not node.is_finished_ok:
            nothing = node.exit_status == GenerateWorkChain.exit_codes.ERROR_NOTHING_REBUILT.status
            return self.failure("generate", "ERROR_NOTHING_REBUILT" if nothing else None)
        inputs = self.screening()
        # crystals.h5 is small and among the retrieved files, so the screening may run anywhere.
        inputs.screen.crystals_folder = node.outputs.crystals_retrieved
        return self.launch(ScreenWorkChain, "screen", inputs)

    @property
    def screen_results(self) -> str:
        """Name of the results of the screening among the outputs of the process that did it."""
        return "screen_results" if "chain" in self.inputs.generate else "results"

    def select(self) -> ExitCode | None:
        """Look up the selected crystals where they were born."""
        node = self.ctx.screen
        if "table" in node.outputs:
            self.out("table", node.outputs.table)
        nothing = node.exit_status == ScreenWorkChain.exit_codes.ERROR_NOTHING_VALID.status
        if not node.is_finished_ok and not nothing:
            return self.failure("screen")
        ids = node.outputs.selected.get_dict()["ids"] if "selected" in node.outputs else []
        rebuild = self.ctx.generate.outputs.crystals_folder.creator
        self.ctx.selected = {name: crystal(rebuild, name) for name in ids}
        if not ids:
            known = self.screen_results in node.outputs
            tables = node.outputs[self.screen_results].get_dict()["tables"] if known else {}
            self.attach_summary()
            text = ", ".join(f"{key} {value}" for key, value in tables.get("funnel", {}).items())
            text += f"; {tables['unpredicted']}" if "unpredicted" in tables else ""
            return self.exit_codes.ERROR_NOTHING_VALID.format(label=node.process_label, pk=node.pk, funnel=text)
        return None

    def should_prerelax(self) -> bool:
        """Tell whether a potential relaxes the candidates first."""
        return "prerelax" in self.inputs

    def prerelax(self) -> ToContext:
        """Relax the selected candidates with the potential, all in one job."""
        inputs = AttributeDict(self.exposed_inputs(RelaxCalculation, "prerelax"))
        settings = inputs.settings.get_dict() if "settings" in inputs else {}
        inputs.settings = Dict({**settings, "only": list(self.ctx.selected)})
        inputs.crystals_folder = self.ctx.generate.outputs.crystals_retrieved
        return self.launch(RelaxStage, "prerelax", {"job": inputs})

    def choose(self) -> None:
        """Choose who goes to DFT: by the pre-relaxation, or where there is none by the screening."""
        asked, starts = self.inputs.n_relaxations.value, dict(self.ctx.selected)
        self.ctx.chosen = list(starts)[:asked]
        node = self.ctx.get("prerelax")
        if node is not None and not node.is_finished_ok:  # what there is is worth having
            why = node.exit_message or node.process_state
            self.note(f"pre-relaxation, {node.process_label}<{node.pk}>: {why}; what it did not get to is taken as "
                      "generated, in the order of the screening")  # fmt: skip
        job: Any = None if node is None else last_job(node)  # the crystals are linked there alone
        if job is not None and "table" in job.outputs and "crystals" in job.outputs:
            relaxed = {name: job.outputs.crystals[link_label(name)] for name in starts
                       if link_label(name) in job.outputs.crystals}  # fmt: skip
            rule = Dict({"count": asked, "shares": check_shares(self.inputs.selection.get_dict())})
            earlier = dict(self.inputs.screen.screen.get("found", {}))
            known = {"earlier": earlier} if earlier else {}
            found = choose_candidates(
                selected=self.ctx.screen.outputs.selected, table=job.outputs.table, rule=rule, crystals=relaxed,
                metadata={"call_link_label": "choose"}, **known,
            )  # fmt: skip
            self.ctx.prerelaxation = found
            self.out("prerelaxation", found)
            self.out("prerelaxed", {link_label(name): crystal for name, crystal in relaxed.items()})
            self.ctx.chosen = [name for name in found.get_dict()["ids"] if name in found.get_dict()["chosen"]]
            starts |= relaxed
        self.ctx.starts = {name: starts[name] for name in self.ctx.chosen}
        if len(self.ctx.chosen) < asked:
            self.report(f"{asked} relaxations were asked for, {len(self.ctx.chosen)} candidates are there")

    def note(self, words: str) -> None:
        """Report what a reader of the results has to know, and keep it for the summary."""
        self.report(words)
        self.ctx.notes = [*self.ctx.get("notes", []), words]

    def should_relax(self) -> bool:
        """Tell whether candidates are to be relaxed."""
        return bool(self.ctx.chosen)

    def relax(self) -> ToContext:
        """Relax the chosen candidates by DFT."""
        inputs = AttributeDict(self.exposed_inputs(ValidateWorkChain, "validation"))
        inputs.structures = {link_label(name): crystal for name, crystal in self.ctx.starts.items()}
        return self.launch(ValidateWorkChain, "validate", inputs)

    def should_judge(self) -> bool:
        """Tell whether there is a relaxed crystal to be judged."""
        return "verdict" in self.inputs and "energies" in self.ctx.validate.outputs

    def judge(self) -> ToContext:
        """Say how far above the hull of their competing phases the relaxed crystals lie."""
        inputs = AttributeDict(self.exposed_inputs(VerdictWorkChain, "verdict"))
        inputs.candidates = dict(self.ctx.validate.outputs.energies)
        protocol = AttributeDict(self.exposed_inputs(ValidateWorkChain, "validation"))
        for name in OF_ONE_CRYSTAL:
            protocol.pop(name, None)
        inputs.setdefault("references", AttributeDict()).validation = protocol
        return self.launch(VerdictWorkChain, "verdict", inputs)

    def should_shake(self) -> bool:
        """Tell whether phonons of a relaxed crystal are wanted."""
        return self.inputs.n_phonons.value > 0 and "relaxed" in self.ctx.validate.outputs

    def shake(self) -> ToContext:
        """Compute phonons of the best relaxed crystals."""
        relaxed, results = dict(self.ctx.validate.outputs.relaxed), self.ctx.validate.outputs.results.get_dict()
        judged = "verdict" in self.ctx and "verdicts" in self.ctx.verdict.outputs
        order = best_relaxed(relaxed, results, self.ctx.verdict.outputs.verdicts.get_dict() if judged else {})
        inputs = AttributeDict(self.exposed_inputs(MinimaWorkChain, "phonons"))
        inputs.structures = {name: relaxed[name] for name in order[: self.inputs.n_phonons.value]}
        return self.launch(MinimaWorkChain, "phonons", inputs)

    def results(self) -> ExitCode | None:
        """Attach relaxed crystals and summary. A single failed relaxation is no failure of the run."""
        if "validate" not in self.ctx:
            self.attach_summary()
            return None
        node = self.ctx.validate
        if "relaxed" in node.outputs:
            self.out("relaxed", dict(node.outputs.relaxed))
        if "verdict" in self.ctx:
            if "verdicts" in self.ctx.verdict.outputs:
                self.out("verdicts", self.ctx.verdict.outputs.verdicts)
            else:  # the relaxed crystals are worth having without it
                self.note(f"no verdict: VerdictWorkChain<{self.ctx.verdict.pk}>: {self.ctx.verdict.exit_message}")
        if "phonons" in self.ctx:
            if "results" in self.ctx.phonons.outputs:
                self.out("modes", self.ctx.phonons.outputs.results)
            else:
                self.note(f"no phonons: MinimaWorkChain<{self.ctx.phonons.pk}>: {self.ctx.phonons.exit_message}")
        if node.is_finished_ok:
            self.attach_summary()
            return None
        all_failed = node.exit_status == ValidateWorkChain.exit_codes.ERROR_ALL_RELAXATIONS_FAILED.status
        return self.failure("validate", "ERROR_ALL_RELAXATIONS_FAILED" if all_failed else None)

    def attach_summary(self) -> None:
        """Attach the summary of what there is, unless no stage has results."""
        parts = gathered(self.ctx, self.screen_results, self.inputs.generate.sample.get("settings"))
        if parts:
            # It names nodes by UUID: one from the cache would name the equal nodes of an earlier run.
            metadata = {"call_link_label": "summary", "disable_cache": True}
            self.out("summary", summarise_run(metadata=metadata, **parts))

    def on_terminated(self) -> None:
        """Clean the remote folders where that was asked for."""
        super().on_terminated()
        if self.inputs.clean_workdir.value:
            clean_called(self)
