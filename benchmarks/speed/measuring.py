"""What the speed benchmarks share: times, FLOPs, the machine and its ceiling, and the table."""

from __future__ import annotations

import argparse
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from icsg3d_models.networks.layers.periodic import Linear
from icsg3d_models.results import versions


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: the least of all repeats, since other work only ever adds to it."""

    process: float
    wall: float


def timed(call: Callable[[], object], repeats: int) -> Timing:
    """Return the time of a call after one that is not counted."""
    call()
    process, wall = [], []
    for _ in range(repeats):
        start = time.process_time(), time.perf_counter()
        call()
        process.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    return Timing(min(process), min(wall))


def flops(call: Callable[[], object]) -> int:
    """Return the floating-point operations of the matrix products and convolutions of a call."""
    mapping = {torch.ops.mkldnn._linear_pointwise: _linear_flops}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        call()
    return int(counter.get_total_flops())


def _linear_flops(x: list[int], weight: list[int], *_: object, **__: object) -> int:
    """Return the operations of oneDNN's linear layer from shapes; the counter of torch does not know it."""
    return 2 * math.prod(x) * weight[0]


def product_ceiling(repeats: int) -> float:
    """Return the GFLOP/s of the fastest large float32 product that torch offers here: MKL's or oneDNN's."""
    n = 1024
    a, b = torch.randn(n, n), torch.randn(n, n)
    layer = Linear(n, n)
    with torch.no_grad():
        best = min(timed(lambda: a @ b, repeats).process, timed(lambda: layer(a), repeats).process)
    return 2 * n**3 / best / 1e9


def parameter_bytes(module: nn.Module) -> int:
    """Return the size of the parameters in memory."""
    return sum(p.numel() * p.element_size() for p in module.parameters())


def processor() -> str:
    """Return the name of the processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def header(title: str, ceiling: float, **conditions: object) -> list[str]:
    """Return the head of a page: what was run, where, and what the machine can do."""
    installed = ", ".join(f"{name} {version}" for name, version in versions().items())
    given = "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in conditions.items())
    return [
        f"# {title}",
        "",
        f"{processor()}, {torch.get_num_threads()} thread(s) of torch. {given}.",
        f"Ceiling: {ceiling:.0f} GFLOP/s, the fastest float32 product of 1024 x 1024 matrices measured beside it.",
        f"Versions: {installed}.",
        "",
    ]


def table(names: list[str], rows: list[list[str]]) -> list[str]:
    """Return a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (names, ["---"] * len(names), *rows)]


def common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every speed benchmark."""
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--repeats", type=int, default=7, help="repeats of each measurement; the least time counts")
    parser.add_argument("--output", type=Path, required=True, help="the Markdown page to write")
    parser.add_argument("--picture", type=Path, help="a picture of where the time goes, .svg or .png")


def picture(path: Path, title: str, milliseconds: dict[str, float]) -> None:
    """Draw the time of every part as a bar; needs matplotlib, of the extra ``report``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.45 * len(milliseconds) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(list(milliseconds), list(milliseconds.values()), color="#4477aa")
    axes.bar_label(bars, fmt="%.3f", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("ms a crystal (process time)")
    axes.set_title(title, loc="left", fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
