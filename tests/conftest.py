"""Fixtures of all tests: a service-free AiiDA profile that is thrown away at the end, and an OPTIMADE server."""

from __future__ import annotations

pytest_plugins = ("aiida.tools.pytest_fixtures", "tests.optimade_server")
