"""RabbitMQ and PostgreSQL, as production has them: a profile on both, its daemon, and a run that ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import postgresql, rabbitmq
from tests.soak.profiles import NAME, Profile

pytestmark = pytest.mark.soak


def test_a_run_with_rabbitmq_and_postgresql(fake_code: Any, tmp_path: Path) -> None:
    lacking = [*postgresql.missing(), *rabbitmq.missing()]
    assert not lacking, f"not installed: {', '.join(lacking)}; tests/run.sh installs rabbitmq-server and postgresql"
    profile = Profile(tmp_path / "profile")
    with rabbitmq.rabbitmq(tmp_path / "rabbitmq") as port, postgresql.postgresql() as database:
        profile.set_up(
            "core.psql_dos", "--database-hostname", "127.0.0.1", "--database-port", database.port,
            "--database-username", database.name, "--database-name", database.name, "--database-password",
            database.password, "--repository-uri", (tmp_path / "repository").as_uri(), broker="none",
        )  # fmt: skip
        profile.run(
            "verdi", "profile", "configure-broker", "core.rabbitmq", "-n", "-f", "--broker-protocol", "amqp",
            "--broker-host", "127.0.0.1", "--broker-port", port, "--broker-username", "guest",
            "--broker-password", "guest", "--broker-virtual-host", "", NAME,
        )  # fmt: skip
        with profile.daemon():
            found = profile.submit({
                "program": str(fake_code().filepath_executable), "scratch": str(tmp_path / "scratch"),
                "models": str(tmp_path / "models"), "n_samples": 4, "one_job": True,
            })  # fmt: skip
            status = profile.run("verdi", "status")
    assert (found["exit_status"], found["exit_message"]) == (0, None)
    assert found["jobs"] == ["ChainCalculation"]
    assert found["crystals"] == 4
    assert found["selected"] == ["s000002", "s000001"]
    assert "RabbitMQ" in status
    assert "postgresql" in status
