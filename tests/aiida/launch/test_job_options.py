"""Options of the jobs: by whom, what is refused, and what goes above what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida import orm

from aiida_icsg3d.launch.job_options import job_options
from aiida_icsg3d.setup.codes import JOB_DEFAULTS

STAGES = ("sample", "screen")


@pytest.fixture
def codes(localhost: orm.Computer) -> dict[str, Any]:
    """Return a code of icsg3d with options of its own, and one of pw.x."""
    found = {}
    for name, plugin in (("icsg3d", None), ("pw", "quantumespresso.pw")):
        code = orm.InstalledCode(computer=localhost, filepath_executable="/bin/true", label=name,
                                 default_calc_job_plugin=plugin)  # fmt: skip
        found[name] = code.store()
    found["icsg3d"].base.extras.set(JOB_DEFAULTS, {"account": "materials", "queue_name": "gpu"})
    return found


def test_what_goes_above_what(codes: dict[str, Any]) -> None:
    given = {"icsg3d": {"max_wallclock_seconds": 60}, "screen": {"queue_name": "cpu"}, "pw": {"account": "dft"}}
    assert job_options(given, codes, STAGES) == {
        "sample": {"account": "materials", "queue_name": "gpu", "max_wallclock_seconds": 60},
        "screen": {"account": "materials", "queue_name": "cpu", "max_wallclock_seconds": 60},
        "pw": {"account": "dft"},
    }
    elsewhere = {**codes, "screen": codes["pw"]}  # what was set up with the one code is not for the other
    assert job_options(None, elsewhere, STAGES) == {"sample": {"account": "materials", "queue_name": "gpu"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("icsg3d: {max_walclock_seconds: 5}",
         r"options.yaml: icsg3d: key 'max_walclock_seconds' is not known; did you mean max_wallclock_seconds"),
        ("smaple: {account: x}", r"options.yaml: key 'smaple' is not known; did you mean sample.*accepted are icsg3d"),
        ("icsg3d: materials", r"options.yaml: icsg3d: received 'materials'; a mapping"),
        ("icsg3d: {max_wallclock_seconds: long}", r"options.yaml: icsg3d: max_wallclock_seconds: received 'long'"),
        ("icsg3d: {gpus: 1}", r"key 'gpus' is not known.*`gpus` of `aiida-icsg3d setup FILE`"),
        ("sample: {resources: {num_nodes: 2}}", r"options.yaml: sample: resources: .*localhost takes num_machines"),
        ("icsg3d: {account: a", r"options.yaml, line 1: not valid YAML"),
    ],
)  # fmt: skip
def test_what_is_refused(codes: dict[str, Any], tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        job_options(path, codes, STAGES)
