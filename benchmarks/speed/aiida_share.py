"""How much of the time of runs was not that of their programs: queues, transport, AiiDA.

    verdi run benchmarks/speed/aiida_share.py PK [PK ...]

Programs are what pw.x and icsg3d say of their own wall time; jobs of the cache count as none. It means what it says
only where one job ran at a time (`max_concurrent: 1`).
"""

from __future__ import annotations

import sys

from aiida import orm


def program_seconds(job: orm.CalcJobNode) -> float:
    """Return the wall time that a program tells of itself, 0 where it tells none."""
    for label in ("output_parameters", "results"):
        if label in job.outputs:
            return float(job.outputs[label].get_dict().get("wall_time_seconds") or 0.0)
    return 0.0


def main() -> None:
    """Print a row for every run."""
    print("| run | jobs | wall, s | programs, s | the rest, % |\n|---|---|---|---|---|")
    for pk in sys.argv[1:]:
        run = orm.load_node(int(pk))
        jobs = [job for job in run.called_descendants
                if isinstance(job, orm.CalcJobNode) and not job.base.caching.is_created_from_cache]  # fmt: skip
        wall = (run.mtime - run.ctime).total_seconds()
        own = sum(map(program_seconds, jobs))
        print(f"| {run.process_label} {pk} | {len(jobs)} | {wall:.0f} | {own:.0f} | {100 * (1 - own / wall):.0f} |")


if __name__ == "__main__":
    main()
