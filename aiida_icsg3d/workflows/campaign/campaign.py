"""WorkChain of a campaign: rounds of discovery, each with what the rounds before it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessBuilder, ToContext, WorkChain, if_, while_

from ...calculations.exit_codes import declare, failed_child
from ...data import CrystalDatasetData, TrainedModelData
from ..cleaning import clean_called
from ..discover import DiscoverWorkChain
from ..discover_checks import validate_relaxations
from ..stability.extending import extend, usable
from ..train import TrainWorkChain
from .fine_tuning import FITTED, columns_added, compared_with, continues, has_seen, screening_models, target_of
from .history import core_hours, record_round
from .limits import check_limits, reason_to_stop
from .seeds import empty_dataset

NOTHING_FOUND = ("ERROR_NOTHING_REBUILT", "ERROR_NOTHING_VALID", "ERROR_ALL_RELAXATIONS_FAILED")
"""Ends of a round that are a result, though not one to be glad of: the next one may do better."""
EMPTY: dict[str, Any] = {"funnel": {}, "candidates": []}


class CampaignWorkChain(WorkChain):
    """Generate, judge by DFT, learn from what was judged, and again, until a limit is reached."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.expose_inputs(
            DiscoverWorkChain, namespace="round", exclude=("train", "models", "clean_workdir", "screen.screen.found"),
            namespace_options={
                "help": "Inputs of every round; the seed of the sampling counts on by the round.",
                "validator": validate_relaxations,  # the models are the campaign's
            },
        )  # fmt: skip
        spec.input_namespace("models", help="What the first round generates and predicts with.")
        for name in ("vae", "unet"):
            spec.input(f"models.{name}", valid_type=TrainedModelData)
        spec.input("models.prior", valid_type=TrainedModelData, required=False)
        spec.input_namespace("models.predictors", valid_type=TrainedModelData, dynamic=True)
        spec.input(
            "dataset", valid_type=CrystalDatasetData, required=False,
            help="What the models were trained on; every round adds to it. Left out: a dataset of what is found alone.",
        )  # fmt: skip
        spec.input_namespace("fine_tune", required=False, help="Trainings after each round; left out: models stay.")
        for name in FITTED:
            spec.expose_inputs(
                TrainWorkChain, namespace=f"fine_tune.{name}", exclude=("train.dataset", "train.initial"),
                namespace_options={"required": False, "populate_defaults": False,
                                   "help": f"Fine-tune the {name} on the data of all rounds so far."},
            )  # fmt: skip
        spec.input(
            "limits", valid_type=orm.Dict, serializer=orm.to_aiida_type, validator=validate_limits,
            default=lambda: orm.Dict({"rounds": 3}),
            help="When to end: `rounds`, `stable_new`, `core_hours`, `patience`; whichever comes first.",
        )  # fmt: skip
        spec.input(
            "stable_within", valid_type=orm.Float, serializer=orm.to_aiida_type, default=lambda: orm.Float(0.1),
            help="eV/atom above the hull of the DFT up to which a crystal counts as stable.",
        )  # fmt: skip
        spec.input("history", valid_type=orm.Dict, required=False, help="Of a campaign that this one goes on with.")
        spec.input_namespace(
            "found", valid_type=orm.StructureData, dynamic=True, required=False,
            help="Crystals that earlier rounds tried; none of them is taken again.",
        )  # fmt: skip
        spec.input(
            "clean_workdir", valid_type=orm.Bool, default=lambda: orm.Bool(False), serializer=orm.to_aiida_type,
            help="Remove fields, segments and checkpoints at the end.",
        )  # fmt: skip
        steps: Any = cls
        spec.outline(
            steps.setup,
            if_(steps.should_learn)(steps.fine_tune, steps.take_models),  # what a campaign gone on with ended before
            while_(steps.should_go_on)(
                steps.run_round,
                steps.record,
                if_(steps.should_learn)(steps.fine_tune, steps.take_models),
            ),
            steps.results,
        )
        for name, kind, words in (
            ("histories", orm.Dict, "By round: `rounds` so far, with candidates, counts, errors and core-hours."),
            ("datasets", CrystalDatasetData, "By round: the data with its verdicts."),
            ("models_of", TrainedModelData, "Fine-tuned models, as PLACE_ROUND."),
            ("tried", orm.StructureData, "Crystals that went to DFT and, relaxed, came from it, as ROUND_ID."),
        ):
            spec.output_namespace(name, valid_type=kind, dynamic=True, required=False, help=words)
        declare(spec, "ERROR_ROUND_FAILED", "ERROR_CGCNN_FAILED", "ERROR_PRIOR_FAILED")

    @classmethod
    def get_builder_from_protocol(cls, codes: Mapping[str, Any], **kwargs: Any) -> ProcessBuilder:
        """Return a builder filled in by a protocol; see :func:`.builder.fill_campaign`."""
        from .builder import fill_campaign

        builder = cls.get_builder()
        fill_campaign(builder, codes, **kwargs)
        return builder

    @classmethod
    def get_builder_to_continue(cls, node: orm.WorkChainNode, **limits: float) -> ProcessBuilder:
        """Return a builder that goes on where a campaign ended or was cut off; see :func:`.builder.go_on_with`."""
        from .builder import go_on_with

        return go_on_with(cls.get_builder(), node, limits)

    def setup(self) -> None:
        """Begin with the inputs, or where the earlier campaign stood."""
        models = self.inputs.models
        self.ctx.models = {name: models[name] for name in ("vae", "unet", "prior") if name in models}
        self.ctx.predictors = dict(models.predictors)
        self.ctx.screened_by = self.ctx.predictors
        self.ctx.history = self.inputs.get("history")
        self.ctx.tried = dict(self.inputs.get("found", {}))
        self.ctx.dataset = self.inputs.get("dataset")
        self.ctx.columns = [] if self.ctx.history is None else columns_added(self.ctx.dataset)
        self.ctx.learn = bool(self.ctx.columns)

    @property
    def rounds(self) -> list[dict[str, Any]]:
        """What is recorded of the rounds so far."""
        return [] if self.ctx.history is None else self.ctx.history.get_dict()["rounds"]

    def should_go_on(self) -> bool:
        """Tell whether there is another round, and say why where there is none."""
        reason = reason_to_stop(self.rounds, check_limits(self.inputs.limits.get_dict()))
        if reason is not None:
            self.report(f"the campaign ends: {reason}")
        return reason is None

    def run_round(self) -> ToContext:
        """Generate, screen, relax and judge, with the models and the knowledge of now."""
        number = len(self.rounds) + 1
        inputs = AttributeDict(self.exposed_inputs(DiscoverWorkChain, "round"))
        begun_with = dict(self.inputs.models.predictors)
        predictors, words = screening_models(self.rounds, begun_with, self.ctx.predictors)
        self.ctx.screened_by = predictors
        if words:
            self.report(f"round {number}: {words}")
        inputs.models = AttributeDict({**self.ctx.models, "predictors": predictors})
        sampling = inputs.generate.sample.settings.get_dict()
        inputs.generate.sample.settings = orm.Dict({**sampling, "seed": sampling.get("seed", 0) + number - 1})
        if self.ctx.tried:
            inputs.screen.screen.found = self.ctx.tried
        rank_by = continues(inputs.screen.screen.settings.get_dict().get("rank_by"), predictors)
        if rank_by is not None:
            inputs.screen.screen.settings = orm.Dict({**inputs.screen.screen.settings.get_dict(), "rank_by": rank_by})
        inputs.setdefault("metadata", AttributeDict()).call_link_label = label_of(number)
        node = self.submit(DiscoverWorkChain, **inputs)
        self.report(f"round {number}: launching DiscoverWorkChain<{node.pk}>")
        return ToContext(round=node)

    def record(self) -> ExitCode | None:
        """Write the round into history and data; one that found nothing is a round all the same."""
        node, number = self.ctx.round, len(self.rounds) + 1
        name, outputs = label_of(number), self.ctx.round.outputs
        allowed = [DiscoverWorkChain.exit_codes[label].status for label in NOTHING_FOUND]
        if not node.is_finished_ok and node.exit_status not in allowed:
            return failed_child(self.exit_codes, "ERROR_ROUND_FAILED", node)
        relaxed = dict(outputs.relaxed) if "relaxed" in outputs else {}
        facts = {
            "round": number, "stable_within": self.inputs.stable_within.value, "core_hours": core_hours(node),
            "discover": node.uuid, "message": node.exit_message,
            "models": {k: v.uuid for k, v in {**self.ctx.models, **self.ctx.screened_by}.items()},
            "compared_with": compared_with(self.ctx.screened_by),
        }  # fmt: skip
        parts: dict[str, Any] = {"relaxed": relaxed} if relaxed else {}
        parts |= {"found": self.ctx.tried} if self.ctx.tried else {}
        parts |= {"history": self.ctx.history} if self.ctx.history is not None else {}
        summary = outputs.summary if "summary" in outputs else orm.Dict(EMPTY).store()
        metadata = {"call_link_label": f"record_{name}", "disable_cache": True}  # it names nodes by UUID
        self.ctx.history = record_round(summary, orm.Dict(facts).store(), metadata=metadata, **parts)
        self.out(f"histories.{name}", self.ctx.history)
        counts = self.rounds[-1]["counts"]
        self.report(f"round {number}: {counts['judged']} judged, {counts['stable']} stable, {counts['stable_new']} of "
                    f"them new; {facts['core_hours']:.2f} core-hours of DFT")  # fmt: skip
        self.remember(name, node, relaxed)
        self.ctx.learn = self.extend_data(name, node, relaxed)
        return None

    def remember(self, name: str, node: orm.WorkChainNode, relaxed: Mapping[str, orm.StructureData]) -> None:
        """Note what went to DFT, and came from it, so that no later round spends anything on it."""
        tried = {f"{name}_{key}": crystal for key, crystal in relaxed.items()}
        for child in node.called:
            if child.process_label == "ValidateWorkChain":
                starts = child.inputs.structures
                tried |= {f"{name}_{key}_start": starts[key] for key in starts if key not in relaxed}
        self.ctx.tried = {**self.ctx.tried, **tried}
        for key, crystal in tried.items():
            self.out(f"tried.{key}", crystal)

    def extend_data(self, name: str, node: orm.WorkChainNode, relaxed: dict[str, orm.StructureData]) -> bool:
        """Make the next dataset, and tell whether there was something to add."""
        validations = [child for child in node.called if child.process_label == "ValidateWorkChain"]
        if "verdicts" not in node.outputs or not validations or "energies" not in validations[0].outputs:
            return False
        energies = dict(validations[0].outputs.energies)
        if not usable(relaxed, energies, node.outputs.verdicts.get_dict())[0]:
            return False
        before = self.ctx.dataset if self.ctx.dataset is not None else empty_dataset()
        self.ctx.dataset, changes = extend(before, relaxed, energies, node.outputs.verdicts)
        self.ctx.columns = list(changes.get_dict()["fidelities"])
        self.out(f"datasets.{name}", self.ctx.dataset)
        return True

    def should_learn(self) -> bool:
        """Tell whether models are to be fine-tuned: there is something new, and a round to use it."""
        wanted = any(name in self.inputs.get("fine_tune", {}) for name in FITTED)
        limits = check_limits(self.inputs.limits.get_dict())
        return bool(self.ctx.learn and wanted and reason_to_stop(self.rounds, limits) is None)

    def fine_tune(self) -> ToContext:
        """Fine-tune property models and prior on the data so far, side by side."""
        running: dict[str, orm.ProcessNode] = {}
        number = len(self.rounds)
        for kind in FITTED:
            if kind not in self.inputs.get("fine_tune", {}):
                continue
            models = self.ctx.predictors if kind == "cgcnn" else {"prior": self.ctx.models.get("prior")}
            for place, model in models.items():
                if model is None or model.network != kind or has_seen(model, self.ctx.dataset):
                    continue
                inputs = AttributeDict(self.exposed_inputs(TrainWorkChain, f"fine_tune.{kind}"))
                inputs.train.dataset, inputs.train.initial = self.ctx.dataset, model
                if kind == "cgcnn":
                    settings = target_of(inputs.train.settings.get_dict(), model, self.ctx.columns)
                    if settings is None:
                        continue
                    inputs.train.settings = orm.Dict(settings)
                else:
                    inputs.train.vae = self.ctx.models["vae"]
                inputs.metadata.call_link_label = f"fine_tune_{place}_{label_of(number)}"
                running[f"tuned_{place}"] = self.submit(TrainWorkChain, **inputs)
        self.report(f"fine-tuning {', '.join(name.removeprefix('tuned_') for name in running) or 'nothing'}")
        self.ctx.tuning = list(running)
        return ToContext(**running)

    def take_models(self) -> None:
        """Take what was fine-tuned; a model whose training failed stays as it was."""
        for name in self.ctx.tuning:
            node, place = self.ctx[name], name.removeprefix("tuned_")
            if "model" not in node.outputs or not node.is_finished_ok:
                last = node.called[-1] if node.called else node  # its own message says what failed
                self.report(f"{place} stays as it was: {last.process_label}<{last.pk}>: {last.exit_message}")
                continue
            if place == "prior":
                self.ctx.models = {**self.ctx.models, "prior": node.outputs.model}
            else:
                self.ctx.predictors = {**self.ctx.predictors, place: node.outputs.model}
            self.out(f"models_of.{place}_{label_of(len(self.rounds))}", node.outputs.model)

    def results(self) -> None:
        """Say what the campaign came to."""
        rounds = self.rounds
        found = sum(entry["counts"]["stable_new"] for entry in rounds)
        hours = sum(entry["core_hours"] for entry in rounds)
        self.report(f"{len(rounds)} rounds, {found} stable new crystals, {hours:.2f} core-hours of DFT")

    def on_terminated(self) -> None:
        """Clean the remote folders where that was asked for."""
        super().on_terminated()
        if self.inputs.clean_workdir.value:
            clean_called(self)


def label_of(number: int) -> str:
    """Return the label of a round in outputs and links."""
    return f"round_{number:02d}"


def validate_limits(node: orm.Dict, _: Any) -> str | None:
    """Refuse limits that cannot be meant."""
    try:
        check_limits(node.get_dict())
    except ValueError as exception:
        return str(exception)
    return None
