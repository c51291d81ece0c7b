"""Two runs that were built by hand."""

from __future__ import annotations

import pytest

from tests.aiida.discovery_graph import Discovery, build_discovery


@pytest.fixture(scope="module")
def runs(aiida_profile: object, tmp_path_factory: pytest.TempPathFactory) -> list[Discovery]:
    """Return a run that ended and one that still runs, with models from elsewhere."""
    first = build_discovery(tmp_path_factory.mktemp("first"))
    second = build_discovery(tmp_path_factory.mktemp("second"), summary=False, trained_here=False)
    return [first, second]
