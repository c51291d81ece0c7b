"""A real OPTIMADE server on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Server:
    """A running server.

    :param refusals: answers that are given before the next proper ones: (status, Retry-After).
    :param asked: paths that were asked for.
    """

    url: str
    refusals: list[tuple[int, str | None]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


def structure(number: int, **changes: Any) -> dict[str, Any]:
    """Return a rock salt as a provider's database holds it."""
    metal = ("Mg", "Ca", "Sr", "Ba")[number % 4]
    a = 2.9 + 0.01 * number
    half = a / 2
    return {
        "task_id": f"made-{number:03d}",
        "last_modified": {"$date": 1700000000000 + number},
        "elements": sorted((metal, "O")),
        "nelements": 2,
        "elements_ratios": [0.5, 0.5],
        "chemical_formula_reduced": "".join(sorted((metal, "O"))),
        "chemical_formula_descriptive": f"{metal}O",
        "chemical_formula_anonymous": "AB",
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "lattice_vectors": [[a, 0, 0], [0, a, 0], [0, 0, a]],
        "cartesian_site_positions": [[0, 0, 0], [half, half, half]],
        "nsites": 2,
        "species_at_sites": [metal, "O"],
        "species": [{"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in (metal, "O")],
        "structure_features": [],
        "gap": 1.0 + number / 100,
        **changes,
    }


@pytest.fixture(scope="session")
def optimade_server() -> Iterator[Server]:
    """Start a server with 250 structures, some of which are no ordered crystals."""
    import uvicorn
    from optimade.server.config import ServerConfig
    from optimade.server.create_app import create_app
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    config = ServerConfig(
        insert_test_data=False,
        database_backend="mongomock",
        base_url=url,
        page_limit=20,
        page_limit_max=100,
        provider={"prefix": "made", "name": "Made up", "description": "For tests"},
        provider_fields={"structures": [{"name": "gap", "type": "float", "unit": "eV", "description": "band gap"}]},
        aliases={"structures": {"id": "task_id"}},
    )
    app = create_app(config)
    mixed = [{"name": "M", "chemical_symbols": ["Mg", "Ca"], "concentration": [0.5, 0.5]}]
    oxygen = [{"name": "O", "chemical_symbols": ["O"], "concentration": [1.0]}]
    entries = [structure(i) for i in range(247)] + [
        structure(247, structure_features=["disorder"], species=mixed + oxygen, species_at_sites=["M", "O"]),
        structure(248, lattice_vectors=[[3, 0, 0], [0, 3, 0], [None, None, None]], nperiodic_dimensions=2,
                  dimension_types=[1, 1, 0]),
        structure(249, gap=None),
    ]  # fmt: skip
    app.state.entry_collections["structures"].insert(entries)
    server = Server(url)

    @app.middleware("http")
    async def refuse(request: Request, call_next: Any) -> Response:
        server.asked.append(str(request.url))
        if server.refusals:
            status, after = server.refusals.pop(0)
            return JSONResponse({"errors": []}, status, {"Retry-After": after} if after else {})
        return await call_next(request)

    runner = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    while not runner.started:
        assert thread.is_alive()
        time.sleep(0.05)
    yield server
    runner.should_exit = True
    thread.join(10)
