"""AiiDA's ``metadata.options`` of the jobs: what a file says, above what was set up with each code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiida.orm import AbstractCode

from ..setup.codes import job_defaults
from ..setup.yaml_file import read_mapping, unknown_key

ALL = "icsg3d"
"""Key of a file for all stages of icsg3d; a stage's own key goes above it."""
PW_RESOURCES = {"num_machines": 1, "num_mpiprocs_per_machine": 1}
"""What the protocols of the DFT have, and what is given is merged into."""


def job_options(
    given: Path | Mapping[str, Any] | None,
    codes: Mapping[str, AbstractCode],
    stages: Sequence[str],
    by_potential: bool = False,
) -> dict[str, dict[str, Any]]:
    """Return stage -> AiiDA's options of its jobs, checked.

    :param given: a YAML file or its content: ``icsg3d``, a stage or ``pw`` -> options.
    :param codes: ``icsg3d``, ``pw``, and stages that have a code of their own.
    :param stages: of icsg3d, that the run has.
    :param by_potential: what relaxes is the stage ``relax`` of icsg3d, which a file names so, not pw.x.
    :raises ValueError: names file, key, what was received and what is accepted.
    """
    where = str(given) if isinstance(given, Path) else "options"
    content = read_mapping(given) if isinstance(given, Path) else dict(given or {})
    relaxing = "relax" if by_potential else "pw"
    accepted = (ALL, *stages, relaxing)
    for group, options in content.items():
        if group not in accepted:
            hint = "; nothing is computed by pw.x here" if by_potential and group == "pw" else ""
            raise ValueError(f"{where}: {unknown_key(group, accepted)}{hint}")
        if not isinstance(options, Mapping):
            raise ValueError(f"{where}: {group}: received {options!r}; a mapping of AiiDA's options is needed there")
        check_options(f"{where}: {group}", options, "pw" if group == "pw" else stages[0])
    found: dict[str, dict[str, Any]] = {}
    for stage in (*stages, "pw"):
        code = codes.get(stage) or (codes[ALL] if stage != "pw" else None)
        if code is None:  # no relaxations
            continue
        of_icsg3d = stage != "pw" or by_potential
        named = relaxing if stage == "pw" else stage
        options = {**job_defaults(code), **(content.get(ALL, {}) if of_icsg3d else {}), **content.get(named, {})}
        if "stash" in options and stage != "pw":
            options = with_stash(options, stage)
        if "resources" in options:
            protocol = {} if of_icsg3d else PW_RESOURCES
            check_resources(f"{where}: {named}", {**protocol, **options["resources"]}, code)
        if options:
            found[stage] = options
    return found


def check_options(where: str, options: Mapping[str, Any], stage: str) -> None:
    """Refuse options that AiiDA does not know or would not take.

    :param where: file and key, for the message.
    :raises ValueError: as said.
    """
    from aiida.plugins import CalculationFactory

    process: Any = CalculationFactory("quantumespresso.pw" if stage == "pw" else f"icsg3d.{stage}")
    if isinstance(options.get("stash"), Mapping) and stage != "pw":
        options = with_stash(options, stage)
    ports = process.spec().inputs["metadata"]["options"]
    for name, value in options.items():
        if name not in ports:
            hint = "; `gpus` of `aiida-icsg3d setup FILE` asks for GPUs" if "gpu" in str(name).lower() else ""
            raise ValueError(f"{where}: {unknown_key(name, tuple(ports))}{hint}")
        problem = ports[name].validate(value)
        if problem is not None:
            raise ValueError(f"{where}: {name}: received {value!r}; {problem.message}")


def with_stash(options: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """Return options whose ``stash`` is complete: files are copied, and which they are each stage knows of itself.

    A stage without big files is left without a stash.
    """
    from aiida.plugins import CalculationFactory

    process: Any = CalculationFactory(f"icsg3d.{'relax' if stage == 'prerelax' else stage}")
    given, rest = dict(options["stash"]), {name: value for name, value in options.items() if name != "stash"}
    if "source_list" not in given and not process.stashed_files:
        return rest
    return {**rest, "stash": {"stash_mode": "copy", "source_list": list(process.stashed_files), **given}}


def check_resources(where: str, resources: Mapping[str, Any], code: AbstractCode) -> None:
    """Refuse resources that the scheduler of the code's computer would not take.

    :raises ValueError: as said.
    """
    if code.computer is None:
        return
    scheduler = code.computer.get_scheduler()
    complete = dict(resources)
    scheduler.preprocess_resources(complete, code.computer.get_default_mpiprocs_per_machine())
    try:
        scheduler.validate_resources(**complete)
    except (TypeError, ValueError) as exception:
        accepted = ", ".join(scheduler.job_resource_class.get_valid_keys())
        raise ValueError(
            f"{where}: resources: {exception}; {code.computer.scheduler_type} of {code.computer.label} takes {accepted}"
        ) from None
