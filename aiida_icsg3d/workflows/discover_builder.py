"""Fills the builder of a DiscoverWorkChain from protocols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ProcessBuilder, ProcessBuilderNamespace
from aiida.orm import AbstractCode, Bool, Dict, Int, List, SinglefileData, StructureData, load_code

from icsg3d_models.networks.classes import CLASSES
from icsg3d_models.networks.model_file import PREDICTORS
from icsg3d_models.screening.selection import check_shares

from ..data import CrystalDatasetData, TrainedModelData
from ..data.pretrained import pretrained_fingerprint, pretrained_models
from .protocols import load_protocol
from .stability.guessing import fill_ranking

GENERATION = ("sample", "segment", "rebuild")
STAGES = ("train", *GENERATION, "screen", "prerelax", "chain")


def fill_discovery(
    builder: ProcessBuilder,
    codes: Mapping[str, AbstractCode | str],
    *,
    models: str | Mapping[str, Any] | None = None,
    dataset: CrystalDatasetData | None = None,
    reference: SinglefileData | None = None,
    elements: list[str] | None = None,
    targets: Mapping[str, float] | None = None,
    asked: Mapping[str, Any] | None = None,
    base: Mapping[str, StructureData] | None = None,
    n_samples: int | None = None,
    n_relaxations: int | None = None,
    n_phonons: int | None = None,
    seed: int = 0,
    protocol: str | None = None,
    pseudo_family: str | None = None,
    spin_type: str | None = None,
    electronic_type: str | None = None,
    hubbard: Mapping[str, Mapping[str, float]] | None = None,
    prerelax: bool | None = None,
    one_job: bool | None = None,
    overrides: Mapping[str, Any] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Fill a builder in.

    :param codes: ``icsg3d`` for all stages, or one for each of ``train``, ``sample``, ``segment``, ``rebuild``,
        ``screen`` and ``prerelax``, ``chain`` for the job of ``one_job``; and ``pw`` for the DFT. Codes or their
        labels.
    :param models: name of a pretrained set, or ``vae``, ``unet``, ``prior`` and ``predictors`` (name -> model).
    :param dataset: train on this first, in place of ``models``.
    :param reference: what novelty is judged against; default: the dataset, or what ships with the pretrained set.
    :param elements: only these; default: all that the models know.
    :param targets: property -> value to aim at.
    :param asked: what else is asked for, name of a condition -> value, see
        :meth:`.generate.GenerateWorkChain.get_builder_from_protocol`.
    :param base: crystals to sample around.
    :param n_relaxations: 0: no DFT, and no code ``pw`` needed.
    :param n_phonons: of how many of the relaxed crystals pw.x computes phonons; default: as the protocol says.
    :param protocol: ``fast``, ``balanced`` or ``stringent``.
    :param pseudo_family: label; default: what is installed.
    :param spin_type: of the DFT: ``auto``, ``none`` or ``collinear``; default: that of the protocol ``validate``.
    :param electronic_type: of the DFT: ``metal`` or ``insulator``; default: that of the protocol.
    :param hubbard: element -> manifold -> on-site U (eV) of the DFT.
    :param prerelax: relax the candidates with a potential before the DFT; default: as the protocol says.
    :param one_job: sample, segment, rebuild and screen in one job; default: as ``generate`` of the protocol says.
    :param overrides: keys of the protocol ``discover``; below ``train``, ``generate``, ``screen`` and
        ``validation`` those of the protocols of these names.
    :param options: stage, ``icsg3d`` or ``pw`` -> AiiDA's ``metadata.options``, above those of the protocols.
    :raises ValueError: an unknown protocol, key or model, a code that is missing, or settings that are not accepted.
    """
    from .generate import GenerateWorkChain, one_code
    from .screen import ScreenWorkChain
    from .train_all import TrainAllWorkChain
    from .validate import ValidateWorkChain

    inputs = load_protocol("discover", protocol, overrides)
    count = int(inputs["n_relaxations"] if n_relaxations is None else n_relaxations)
    known = {*STAGES, "icsg3d", "pw"}
    for name, given in (("codes", codes), ("options", options or {})):
        if unknown := sorted(set(given) - known):
            raise ValueError(f"{name} for {', '.join(unknown)}: accepted are {', '.join(sorted(known))}")
    if (models is None) == (dataset is None):
        raise ValueError("give either `models` (or the name of a pretrained set) or a `dataset` to train on")

    def code(stage: str) -> AbstractCode:
        given = codes.get(stage) or (codes.get("icsg3d") if stage != "pw" else None)
        if stage == "prerelax":  # where codes are given by stage: where the candidates were screened
            given = given or codes.get("screen")
        if given is None:
            raise ValueError(f"no code for the stage {stage}; codes has {', '.join(codes) or 'nothing'}")
        return load_code(given) if isinstance(given, str) else given

    def options_of(stage: str) -> dict[str, Any]:
        common = {} if stage == "pw" else dict((options or {}).get("icsg3d", {}))
        return {**common, **(options or {}).get(stage, {})}

    builder.clean_workdir = Bool(inputs["clean_workdir"])
    builder.n_relaxations = Int(count)
    builder.n_phonons = Int(min(inputs["phonons"]["count"], count) if n_phonons is None else n_phonons)
    builder["phonons"].settings = Dict(dict(inputs["phonons"]["settings"]))
    builder["phonons"].max_concurrent = Int(inputs["phonons"]["max_concurrent"])
    if dataset is not None:
        training = TrainAllWorkChain.get_builder_from_protocol(
            code("train"), dataset, conditions=list(targets) if targets else None, seed=seed,
            overrides=inputs["train"], options=options_of("train"), protocol=protocol,
        )  # fmt: skip
        fill(builder["train"], training, "metadata")
        reference = reference or dataset
    else:
        if isinstance(models, str):
            reference = reference or pretrained_fingerprint(models)
            models = pretrained_models(models)
        checked = check_models(models or {})
        builder.models = checked
        if "vae" in checked and "prior" not in checked and CLASSES[checked["vae"].class_name].needs_prior and not base:
            raise ValueError("the VAE needs a fitted prior and comes without: give `prior`, or `base` to sample around")

    stages = (*GENERATION, "chain") if "chain" in codes else GENERATION
    generation: Any = GenerateWorkChain.get_builder_from_protocol(
        {stage: code(stage) for stage in stages}, n_samples=n_samples, elements=elements, targets=targets,
        asked=asked, base=base, seed=seed, one_job=one_job, overrides=inputs["generate"], protocol=protocol,
    )  # fmt: skip
    whole = generation["chain"].get("code") is not None
    if whole and "chain" not in codes:
        one_code({"generation": generation.chain.code, "screen": code("screen")})
    for stage in (*GENERATION, *(["chain"] if whole else [])):
        generation[stage].metadata.options = {**generation[stage].metadata.options, **options_of(stage)}
    fill(builder["generate"], generation, "metadata", "clean_workdir")

    screening: Any = ScreenWorkChain.get_builder_from_protocol(
        code("screen"), reference=reference, elements=elements, seed=seed, overrides=inputs["screen"],
        options=options_of("screen"), protocol=protocol,
    )  # fmt: skip
    settings = screening.screen.settings.get_dict()
    asked = {key: value for key, value in (asked or {}).items() if value is not None}
    screening.screen.settings = {**settings, **asked, "top": max(settings.get("top", 10), count)}
    if base:
        screening.screen.base = dict(base)
    fill(builder["screen"], screening, "metadata", "clean_workdir")

    if inputs["prerelax"]["run"] if prerelax is None else prerelax:
        builder["prerelax"].code = code("prerelax")
        builder["prerelax"].settings = {"seed": seed, **inputs["prerelax"]["settings"]}
        builder["prerelax"].metadata.options = {**inputs["prerelax"]["options"], **options_of("prerelax")}
        builder.selection = Dict(check_shares(inputs["selection"]))
    if count:
        validation = ValidateWorkChain.get_builder_from_protocol(
            code("pw"), pseudo_family=pseudo_family, overrides=dict(inputs["validation"]), options=options_of("pw"),
            protocol=protocol, spin_type=spin_type, electronic_type=electronic_type, hubbard=hubbard,
        )  # fmt: skip
        if elements and not validation.get("cutoff_elements"):
            validation.cutoff_elements = List(sorted(elements))  # one cut-off for all energies of the chemical space
        fill(builder["validation"], validation, "metadata")
        if inputs["verdict"]["judge"]:
            references = builder["verdict"]["references"]
            references.compute = Bool(inputs["verdict"]["compute"])
            references.most_sites = Int(inputs["verdict"]["most_sites"])
            if inputs["verdict"]["compute"] and inputs["verdict"]["guess"]:
                potential = inputs["prerelax"]["settings"]["potential"]
                fill_ranking(references, code("prerelax"), {"potential": potential})


def fill(target: ProcessBuilderNamespace, inputs: ProcessBuilderNamespace, *left_out: str) -> None:
    """Set in a namespace of a builder what another builder has, but for the inputs left out."""
    for name, value in inputs.items():
        if name in left_out:
            continue
        if isinstance(value, ProcessBuilderNamespace):
            if name in target:
                fill(target[name], value)
        else:
            target[name] = value


def check_models(models: Mapping[str, Any]) -> dict[str, Any]:
    """Return the models after a check of their names and kinds.

    :raises ValueError: an unknown name, or a model in the place of another.
    """
    accepted = {"vae", "unet", "prior", "predictors"}
    if unknown := sorted(set(models) - accepted):
        raise ValueError(f"models {', '.join(unknown)}: accepted are {', '.join(sorted(accepted))}")
    flat: dict[str, tuple[TrainedModelData, tuple[str, ...]]] = {
        name: (node, (name,)) for name, node in models.items() if name != "predictors"
    }
    flat.update({f"predictors.{name}": (node, PREDICTORS) for name, node in models.get("predictors", {}).items()})
    for name, (node, networks) in flat.items():
        if node.network not in networks:
            raise ValueError(f"models.{name} holds a {node.network} network; a {' or '.join(networks)} is needed there")
    return dict(models)
