"""What has to run before a run starts."""

from __future__ import annotations

from typing import Any

import pytest
from aiida import orm
from aiida.manage import get_manager

from aiida_icsg3d.launch import NotReadyError, check_ready, readiness


@pytest.fixture
def world(localhost: orm.Computer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that sets broker and daemon and returns a code here and one behind ssh."""
    far = orm.Computer.collection.find({"label": "behind-ssh"})
    computer = far[0] if far else orm.Computer(
        "behind-ssh", "far.example", transport_type="core.ssh_async", scheduler_type="core.slurm", workdir="/scratch"
    ).store()  # fmt: skip
    codes = [orm.InstalledCode(computer=where, filepath_executable="/bin/true", label="x") for where in
             (localhost, computer)]  # fmt: skip

    def build(broker: str | None, daemon: bool) -> list[orm.InstalledCode]:
        profile = get_manager().get_profile()
        monkeypatch.setattr(type(profile), "process_control_backend", property(lambda _: broker))
        monkeypatch.setattr(readiness, "daemon_runs", lambda: daemon)
        return codes

    return build


def test_a_foreground_run_here_needs_nothing(world: Any) -> None:
    here, _ = world(None, False)
    check_ready([here], submit=False)


def test_a_foreground_run_behind_ssh_needs_the_daemon(world: Any) -> None:
    """It failed to connect five times, paused for ever, and the console counted the time that was left."""
    here, there = world("core.zeromq", False)
    with pytest.raises(NotReadyError) as refused:
        check_ready([here, there], submit=False)
    lines = [line.strip() for line in str(refused.value).splitlines()]
    assert lines.index("verdi daemon start") < lines.index("verdi computer test behind-ssh")
    assert "behind-ssh would wait for ever" in lines[0]
    check_ready(world("core.zeromq", True), submit=False)
    check_ready(world("core.rabbitmq", False), submit=False)  # a service of its own


@pytest.mark.parametrize(
    ("broker", "message"), [(None, "configure-broker core.zeromq"), ("core.zeromq", "daemon start")]
)
def test_what_is_handed_over_needs_a_daemon(world: Any, broker: str | None, message: str) -> None:
    here, _ = world(broker, False)
    with pytest.raises(NotReadyError, match=message):
        check_ready([here], submit=True)
