"""Generate perovskites, screen them and relax the best with DFT: the whole chain, in your own profile.

verdi run examples/generate_perovskites.py --elements Pb Ti O --n-relaxations 2
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

import yaml
from aiida import engine, load_profile
from aiida.common.exceptions import ConfigurationError, NotExistent
from aiida.manage import get_manager
from aiida.orm import StructureData, load_node
from plumpy.exceptions import KilledError
from pymatgen.core import Structure

from aiida_icsg3d.dft.pseudos import choose_family
from aiida_icsg3d.foreground.progress import Reporter, expected_seconds, run_with_progress
from aiida_icsg3d.parsers.rebuild import link_label
from aiida_icsg3d.report import write_report
from aiida_icsg3d.report.console import summarise
from aiida_icsg3d.setup import (
    collect_models,
    find_code,
    find_reference,
    known_elements,
    predicted_elements,
    samples_around_base,
)
from icsg3d_models.crystals.formulas import amounts_of

ELEMENTS = ("Pb", "Ti", "Mg", "Al", "O")
STAGES = ("sample", "segment", "rebuild", "screen")
CRYSTAL_SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
WISHES = ("composition", "anonymous_formula", "n_atoms", "crystal_system")


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, []) else super()._get_help_string(action)


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="verdi run examples/generate_perovskites.py",
        description=__doc__,
        formatter_class=HelpFormatter,
    )
    add = parser.add_argument
    add(
        "--elements",
        nargs="+",
        metavar="X",
        help=f"chemical space, cut to what the models and the pseudopotential family have; otherwise the elements of "
        f"--composition or --base, or {' '.join(ELEMENTS)}",
    )
    add("--n-samples", type=int, default=64, help="how many samples to draw")
    add("--n-relaxations", type=int, default=2, help="how many of the best candidates to relax; 0: no DFT")
    add("--seed", type=int, default=0, help="seed of all random numbers")
    add(
        "--models",
        nargs="+",
        default=["perov5"],
        metavar="MODEL",
        help="a pretrained set; or the PK of a training run; or PKs or paths of vae, unet, prior and cgcnn",
    )
    add("--base", nargs="+", type=Path, metavar="FILE", help="sample around these crystals (CIF, POSCAR, ...)")
    add("--spread", type=float, metavar="SD",
        help="with --base: width, in standard deviations of the latents of the training crystals")  # fmt: skip
    add("--interpolate", action="store_true", default=None, help="with two files of --base: on the line between them")
    add("--guidance", type=float, metavar="G",
        help="strength of what is aimed at; 1 follows the models, 2 is stricter and less varied")  # fmt: skip
    add(
        "--reference",
        type=int,
        metavar="PK",
        help="dataset that novelty is judged against; otherwise what the models were trained on",
    )
    add(
        "--target",
        nargs=2,
        action="append",
        default=[],
        metavar=("PROPERTY", "VALUE"),
        help="property to aim at; the prior must have been trained with it",
    )
    add("--composition", metavar="FORMULA", help="models for any shape: formula of one cell, such as PbTiO3 or C8")
    add("--anonymous-formula", metavar="FORMULA", help="models for any shape: such as ABC3, whatever the elements are")
    add("--n-atoms", type=int, metavar="N", help="models for any shape: atoms in the cell")
    add("--crystal-system", choices=CRYSTAL_SYSTEMS, help="models for any shape: crystal system to aim at")
    add("--code", default="icsg3d@localhost", help="code of icsg3d")
    for stage in STAGES:
        add(f"--code-{stage}", default=argparse.SUPPRESS, metavar="CODE", help=f"another code for the stage {stage}")
    add("--pw-code", default="pw@localhost", help="code of pw.x")
    add(
        "--options",
        type=Path,
        metavar="FILE",
        help="YAML: icsg3d, a stage or pw -> AiiDA's metadata.options (queue, account, resources, GPU)",
    )
    add("--protocol", default="fast", choices=["fast", "balanced", "stringent"], help="cost and precision")
    add("--pseudo-family", metavar="LABEL",
        help="pseudopotential family; otherwise SSSP or PseudoDojo where installed, SSSP where it can be downloaded, "
        "else the LDA files of Debian's quantum-espresso-data")  # fmt: skip
    add("--output", type=Path, metavar="FOLDER", help="where the report goes; otherwise results/PK")
    add("--submit", action="store_true", help="hand everything to the daemon and return at once")
    return parser.parse_args()


def choose_elements(wanted: list[str], available: dict[str, set[str]]) -> list[str]:
    """Return the elements that everything knows, and say which are left out.

    :param available: who knows -> which elements.
    :raises ValueError: none is left.
    """
    kept = [symbol for symbol in dict.fromkeys(wanted) if all(symbol in known for known in available.values())]
    for who, known in available.items():
        if missing := [symbol for symbol in wanted if symbol not in known]:
            print(f"{', '.join(missing)} left out: {who} lacks {'it' if len(missing) == 1 else 'them'}")
    if not kept:
        known = "; ".join(f"{who}: {', '.join(sorted(symbols))}" for who, symbols in available.items())
        raise ValueError(f"none of the elements {', '.join(wanted)} can be used ({known})")
    return kept


def read_base(paths: list[Path]) -> dict[str, StructureData]:
    """Return the crystals of files, by the name of each file.

    :raises ValueError: a file that is not there, or that holds no crystal.
    """
    found = {}
    for index, path in enumerate(paths):
        try:
            structure = StructureData(pymatgen=Structure.from_file(path), label=path.stem)
        except FileNotFoundError:
            raise ValueError(f"{path}: no such file") from None
        except Exception as exception:  # whatever a parser of some format raises
            raise ValueError(f"{path}: no crystal can be read from it ({exception})") from None
        found[link_label(f"base_{index + 1}_{path.stem}")] = structure
    return found


def build(options: argparse.Namespace) -> Any:
    """Return the builder of the run.

    :raises ValueError: a code, family or model that is missing; the message says how to get it.
    """
    from aiida.plugins import WorkflowFactory

    codes = {"icsg3d": find_code(options.code, "icsg3d.sample", "icsg3d")}
    for stage in STAGES:
        if label := getattr(options, f"code_{stage}", None):
            codes[stage] = find_code(label, f"icsg3d.{stage}", "icsg3d")
    models = collect_models(options.models)
    available = {"the model": known_elements(models)}
    family = None
    if options.n_relaxations:
        codes["pw"] = find_code(options.pw_code, "quantumespresso.pw", "pw.x")
        family = choose_family(options.pseudo_family, say=print)
        available[f"the pseudopotential family {family.label}"] = set(family.elements)
    base = read_base(options.base or [])
    if samples_around_base(models) and not base:
        raise ValueError(f"the models {' '.join(options.models)} sample around crystals that you give: add --base FILE")
    if options.spread is not None and not base:
        raise ValueError("--spread is a width around --base, which is not given")
    own = sorted({symbol for structure in base.values() for symbol in structure.get_symbols_set()})
    wishes = {name: value for name in WISHES if (value := getattr(options, name)) is not None}
    named = sorted(amounts_of(options.composition)) if options.composition else own
    elements = choose_elements(options.elements or named or list(ELEMENTS), available)
    if lost := [symbol for symbol in named if options.composition and symbol not in elements]:
        raise ValueError(f"{options.composition} cannot be made: {', '.join(lost)} cannot be used")
    if unnamed := [symbol for symbol in own if symbol not in elements]:
        raise ValueError(
            f"{', '.join(unnamed)} of the crystals of --base cannot be used: --elements, the models or the "
            "pseudopotential family lack it, and sites would be taken for something else"
        )
    overrides: dict[str, Any] = {}
    sampling = {name: value for name in ("spread", "guidance") if (value := getattr(options, name)) is not None}
    if options.interpolate:
        if len(base) != 2:
            raise ValueError(f"--interpolate goes from one crystal of --base to another; {len(base)} given, two needed")
        sampling["mode"] = "interpolate"
    if sampling:
        overrides["generate"] = {"sample": {"settings": sampling}}
    screening: dict[str, Any] = {}
    if not predicted_elements(models) & set(elements):
        print("no property model knows these elements: candidates are taken in the order in which they were made")
        screening["rank_by"] = None
    reference = load_node(options.reference) if options.reference else find_reference(options.models, models)
    if reference is None:
        print("novelty is not judged: it is not known what the models were trained on; --reference names a dataset")
        screening["require"] = ["structure", "composition", "unique"]
    if screening:
        overrides["screen"] = {"screen": {"settings": screening}}
    print(f"elements {', '.join(elements)}; {options.n_samples} samples, {options.n_relaxations} relaxations"
          + (f" with {family.label}" if family else ""))  # fmt: skip
    return WorkflowFactory("icsg3d.discover").get_builder_from_protocol(
        codes,
        models=models,
        reference=reference,
        elements=elements,
        wishes=wishes or None,
        base=base or None,
        overrides=overrides,
        targets={name: float(value) for name, value in options.target} or None,
        n_samples=options.n_samples,
        n_relaxations=options.n_relaxations,
        seed=options.seed,
        protocol=options.protocol,
        pseudo_family=family.label if family else None,
        options=yaml.safe_load(options.options.read_text(encoding="utf-8")) if options.options else None,
    )


def submit(builder: Any) -> int:
    """Hand the run to the daemon and say how to follow it."""
    if not engine.daemon.get_daemon_client().is_daemon_running:
        raise ValueError("the daemon is not running; start it with `verdi daemon start`, or leave --submit out")
    node = engine.submit(builder)
    print(
        f"DiscoverWorkChain PK {node.pk} submitted.\n  verdi process status {node.pk}\n  aiida-icsg3d report {node.pk}"
    )
    return 0


def run(builder: Any, options: argparse.Namespace) -> int:
    """Run here, show the progress, and write what came out of it."""
    # What a restarted calculation warned of is in `verdi process report`; what failed is in the summary.
    for handler in logging.getLogger("aiida").handlers:
        handler.setLevel(logging.CRITICAL)
    planned = {"SampleCalculation": 1, "SegmentCalculation": 1, "RebuildCalculation": 1, "ScreenCalculation": 1}
    at_once = 1
    if options.n_relaxations:
        planned["PwRelaxWorkChain"] = options.n_relaxations
        at_once = builder.validation.max_concurrent.value
    node = run_with_progress(builder, Reporter(planned, expected_seconds(planned, at_once)))
    print(f"\n{summarise(node)}\n")
    folder = options.output or Path("results") / str(node.pk)
    print("Written:\n" + "\n".join(f"  {path}" for path in write_report(node, folder).values()))
    if not node.is_finished_ok:
        print(
            f"the run ended with {node.exit_status}: {node.exit_message}; `verdi process report {node.pk}`",
            file=sys.stderr,
        )
    return 0 if node.is_finished_ok else 1


def main() -> int:
    """Run the example and return its exit code."""
    options = parse_arguments()
    try:
        if get_manager().get_profile() is None:
            load_profile()
        builder = build(options)
        return submit(builder) if options.submit else run(builder, options)
    except ConfigurationError as exception:
        print(f"no AiiDA profile ({exception}); make one with `verdi presto --use-zeromq`", file=sys.stderr)
    except KilledError:
        print("interrupted; `verdi process list -a` shows how far the run got", file=sys.stderr)
    except (ValueError, OSError, NotExistent) as exception:
        print(exception, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
