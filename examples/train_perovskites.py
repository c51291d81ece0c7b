"""Train your own models: data -> dataset -> U-Net -> VAE -> prior, and a CGCNN beside them, all with provenance.

verdi run examples/train_perovskites.py --source perovskites.csv --property formation_energy_per_atom=heat_all
verdi run examples/generate_perovskites.py --models PK
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from aiida import engine, load_profile, orm
from aiida.common.exceptions import ConfigurationError, NotExistent
from aiida.manage import get_manager
from aiida.plugins import CalculationFactory, WorkflowFactory
from plumpy.exceptions import KilledError

from aiida_icsg3d.data import CrystalDatasetData
from aiida_icsg3d.foreground.progress import Reporter, expected_seconds, run_with_progress
from aiida_icsg3d.setup import find_code

NETWORKS = ("unet", "vae", "prior", "cgcnn")


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="verdi run examples/train_perovskites.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--source", type=Path, help="a CSV with a column of CIFs, a folder or .zip of CIFs, or an extxyz file"
    )
    data.add_argument("--dataset", type=int, metavar="PK", help="a dataset of this profile")
    add(
        "--property",
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="property of the dataset and the column or key of the source that holds it; may be given several times",
    )
    add("--cif-column", default="cif", help="column of the CIFs in a CSV (%(default)s)")
    add("--id-column", default="material_id", help="column or key that names a crystal (%(default)s)")
    add("--name", default="perovskites", help="name of the dataset, kept in the model cards (%(default)s)")
    add("--target", action="append", metavar="NAME", help="property that the CGCNN predicts (all)")
    add("--condition", action="append", metavar="NAME", help="property that the prior can aim at (none)")
    add("--protocol", default="fast", choices=["fast", "balanced", "stringent"], help="how long to train (%(default)s)")
    for network in NETWORKS:
        add(f"--epochs-{network}", type=int, metavar="N", help=f"epochs of the {network} (the protocol's)")
    add("--seed", type=int, default=0, help="seed of all random numbers (%(default)s)")
    add("--code", default="icsg3d@localhost", help="code of icsg3d (%(default)s)")
    add("--submit", action="store_true", help="hand the training to the daemon and return at once")
    return parser.parse_args()


def source_node(path: Path) -> orm.Data:
    """Return a file or folder as a node.

    :raises ValueError: there is no such path.
    """
    if path.is_dir():
        return orm.FolderData(tree=str(path.resolve()))
    if path.is_file():
        return orm.SinglefileData(path.resolve())
    raise ValueError(f"{path}: no such file or folder")


def prepare(options: argparse.Namespace, code: orm.AbstractCode) -> CrystalDatasetData:
    """Return the dataset of a PK, or build it from the source.

    :raises ValueError: no such dataset, or nothing could be made of the source.
    """
    if options.dataset is not None:
        try:
            node = orm.load_node(options.dataset)
        except NotExistent:
            raise ValueError(f"there is no node {options.dataset} in this profile") from None
        if not isinstance(node, CrystalDatasetData):
            raise ValueError(f"node {options.dataset} is a {type(node).__name__}, not a dataset")
        return node
    wrong = [text for text in options.property if "=" not in text]
    if wrong:
        raise ValueError(f"--property {wrong[0]}: write NAME=COLUMN, for example formation_energy_per_atom=heat_all")
    builder = CalculationFactory("icsg3d.prepare").get_builder()
    builder.code = code
    builder.source = source_node(options.source)
    builder.settings = {
        "name": options.name,
        "properties": dict(text.split("=", 1) for text in options.property),
        "cif_column": options.cif_column,
        "id_column": options.id_column,
        "seed": options.seed,
    }
    print(f"preparing the dataset from {options.source}")
    _, node = engine.run_get_node(builder)
    if not node.is_finished_ok:
        raise ValueError(f"the dataset could not be built: {node.exit_message}; `verdi process report {node.pk}`")
    counts = ", ".join(f"{key} {value}" for key, value in node.outputs.results["counts"].items())
    print(f"dataset PK {node.outputs.dataset.pk}: {counts}")
    return node.outputs.dataset


def train(options: argparse.Namespace, code: orm.AbstractCode, dataset: CrystalDatasetData) -> int:
    """Train all networks and say what came out."""
    epochs = {network: getattr(options, f"epochs_{network}") for network in NETWORKS}
    overrides: dict[str, Any] = {
        network: {"settings": {"optimiser": {"max_epochs": count}}} for network, count in epochs.items() if count
    }
    builder = WorkflowFactory("icsg3d.train_all").get_builder_from_protocol(
        code, dataset, targets=options.target, conditions=options.condition, seed=options.seed,
        protocol=options.protocol, overrides=overrides,
    )  # fmt: skip
    if options.submit:
        if not engine.daemon.get_daemon_client().is_daemon_running:
            raise ValueError("the daemon is not running; start it with `verdi daemon start`, or leave --submit out")
        node = engine.submit(builder)
        print(f"TrainAllWorkChain PK {node.pk} submitted; `verdi process status {node.pk}`")
        return 0
    planned = {"TrainCalculation": len(NETWORKS)}
    node = run_with_progress(builder, Reporter(planned, expected_seconds(planned)))
    for network in NETWORKS:
        if network in node.outputs:
            model = node.outputs[network]
            metrics = ", ".join(f"{key} {value:.4g}" for key, value in model.card.get("metrics", {}).items()
                                if isinstance(value, int | float))  # fmt: skip
            print(f"  {network:6s} PK {model.pk}  {metrics}")
    if not node.is_finished_ok:
        print(f"training PK {node.pk} ended with {node.exit_status}: {node.exit_message}", file=sys.stderr)
        return 1
    print(f"generate with them:\n  verdi run examples/generate_perovskites.py --models {node.pk}")
    return 0


def main() -> int:
    """Run the example and return its exit code."""
    options = parse_arguments()
    try:
        if get_manager().get_profile() is None:
            load_profile()
        for handler in logging.getLogger("aiida").handlers:  # reports stay in `verdi process report`
            handler.setLevel(logging.CRITICAL)
        code = find_code(options.code, "icsg3d.train", "icsg3d")
        return train(options, code, prepare(options, code))
    except ConfigurationError as exception:
        print(f"no AiiDA profile ({exception}); make one with `verdi presto --use-zeromq`", file=sys.stderr)
    except KilledError:
        print("interrupted; `verdi process list -a` shows how far the training got", file=sys.stderr)
    except (ValueError, OSError) as exception:
        print(exception, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
