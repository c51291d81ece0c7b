"""Fills the builder of a CampaignWorkChain: from protocols, or from a campaign that is gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.engine import ProcessBuilder

from ...data import CrystalDatasetData
from ...data.pretrained import pretrained_fingerprint, pretrained_models
from ...runner_mark import is_left
from ..discover_builder import check_models, fill
from ..protocols import load_protocol, merge
from ..train import fill_training, fine_tuning_protocol, training_protocol
from .fine_tuning import FITTED
from .limits import check_limits

GIVEN_BY_ROUND = ("models", "train", "metadata", "clean_workdir")


def fill_campaign(
    builder: ProcessBuilder,
    codes: Mapping[str, Any],
    *,
    models: str | Mapping[str, Any],
    dataset: CrystalDatasetData | None = None,
    limits: Mapping[str, float | None] | None = None,
    stable_within: float | None = None,
    fine_tune: Mapping[str, bool] | None = None,
    reference: orm.SinglefileData | None = None,
    protocol: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    campaign: Mapping[str, Any] | None = None,
    **discovery: Any,
) -> None:
    """Fill a builder in.

    :param codes: as of :func:`..discover_builder.fill_discovery`; ``train`` fine-tunes.
    :param models: name of a pretrained set, or ``vae``, ``unet``, ``prior`` and ``predictors``.
    :param dataset: what the models were trained on, to which each round adds; left out: a new one.
    :param limits: ``rounds``, ``stable_new``, ``core_hours``, ``patience`` above those of the protocol.
    :param stable_within: eV/atom above the hull.
    :param fine_tune: ``cgcnn`` and ``prior``: whether they are fine-tuned after each round.
    :param overrides: keys of the protocol ``discover``, for every round.
    :param campaign: keys of the protocol ``campaign``.
    :param discovery: what else :func:`..discover_builder.fill_discovery` takes.
    :raises ValueError: an unknown protocol, key, limit or model, or a prior that cannot be fine-tuned.
    """
    from ..discover import DiscoverWorkChain

    inputs = load_protocol("campaign", protocol, campaign)
    if isinstance(models, str):
        reference = reference or dataset or pretrained_fingerprint(models)
        models = pretrained_models(models)
    chosen = check_models(models)
    of_round = merge(inputs["round"], overrides or {}, "round", (), is_open=True)
    one: Any = DiscoverWorkChain.get_builder_from_protocol(
        codes, models=chosen, reference=reference or dataset, protocol=protocol, overrides=of_round, **discovery
    )
    fill(builder["round"], one, *GIVEN_BY_ROUND)
    builder.models = chosen
    builder.limits = orm.Dict(check_limits({**inputs["limits"], **(limits or {})}))
    builder.stable_within = orm.Float(inputs["stable_within"] if stable_within is None else stable_within)
    builder.clean_workdir = orm.Bool(inputs["clean_workdir"])
    if dataset is not None:
        builder.dataset = dataset
    wanted = {**{name: inputs["fine_tune"][name] for name in FITTED}, **(fine_tune or {})}
    if unknown := sorted(set(wanted) - set(FITTED)):
        raise ValueError(f"fine_tune: {', '.join(unknown)}: accepted are {', '.join(FITTED)}")
    if wanted["prior"] and dataset is None:
        raise ValueError(
            "the prior is fine-tuned on the data that it was trained on and what is found; give that `dataset`: one "
            "that sees only a few crystals makes nothing but those"
        )
    code = codes.get("train") or codes.get("icsg3d")
    for name in FITTED:
        if wanted[name]:
            fill_fine_tuning(builder, name, code, chosen, protocol, inputs["fine_tune"]["settings"])


def fill_fine_tuning(
    builder: Any, network: str, code: Any, models: Mapping[str, Any], protocol: str | None, settings: Mapping[str, Any]
) -> None:
    """Set the training of one network."""
    if code is None:
        raise ValueError("no code to fine-tune with; codes needs `train` or `icsg3d`")
    loaded = orm.load_code(code) if isinstance(code, str) else code
    some = next(iter(models["predictors"].values())) if network == "cgcnn" else models.get(network)
    if some is None or some.network != network:
        return
    inputs = fine_tuning_protocol(training_protocol(protocol, settings), network, settings)
    fill_training(builder["fine_tune"][network], loaded, network, inputs, seed=0)
    if network == "prior":
        builder["fine_tune"][network]["train"]["vae"] = models["vae"]


def go_on_with(builder: ProcessBuilder, node: orm.WorkChainNode, limits: Mapping[str, float | None]) -> ProcessBuilder:
    """Fill a builder with what a campaign was given and what it had found when it ended or was cut off.

    :param limits: above those of the campaign; ``rounds`` counts those that are done.
    :raises ValueError: no campaign, or one that still runs.
    """
    if not (node.process_type or "").endswith(":icsg3d.campaign"):
        raise ValueError(f"{node.pk} is a {node.process_label}; give the PK of a CampaignWorkChain")
    if not (node.is_terminated or is_left(node)):  # whose interpreter was killed stays "running" for ever
        raise ValueError(f"campaign {node.pk} still runs; `verdi process kill {node.pk}` ends it, what it found stays")
    before: Any = node.get_builder_restart()._inputs(prune=True)  # an empty namespace would ask for what it needs
    for name, value in before.items():
        if name not in ("metadata", "limits", "models", "found", "history", "dataset"):
            builder[name] = value
    found = state_of(node)
    inputs: Any = node.inputs
    builder.limits = orm.Dict(check_limits({**inputs.limits.get_dict(), **limits}))
    models = {name: inputs.models[name] for name in ("vae", "unet", "prior") if name in inputs.models}
    predictors = dict(inputs.models.predictors)
    for label, model in found["models_of"].items():  # in the order of the rounds, so that the last one stands
        place = label.rpartition("_round_")[0]
        (models if place == "prior" else predictors)[place] = model
    builder.models = {**models, "predictors": predictors}
    tried = {**(dict(inputs.found) if "found" in inputs else {}), **found["tried"]}
    if tried:
        builder.found = tried
    for name, output in (("history", "histories"), ("dataset", "datasets")):
        last = list(found[output].values())
        if last:
            builder[name] = last[-1]
        elif name in inputs:
            builder[name] = inputs[name]
    return builder


def state_of(node: orm.WorkChainNode) -> dict[str, dict[str, Any]]:
    """Return the outputs of a campaign by namespace, those of the later rounds last."""
    found: dict[str, dict[str, Any]] = {}
    for name in ("histories", "datasets", "models_of", "tried"):
        try:
            outputs = dict(getattr(node.outputs, name))
        except (AttributeError, NotExistent):
            outputs = {}
        found[name] = dict(sorted(outputs.items(), key=lambda item: (item[0].rpartition("round_")[2], item[0])))
    return found
