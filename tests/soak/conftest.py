"""Codes and models of the AiiDA tests."""

from __future__ import annotations

from tests.aiida.conftest import fake_code, localhost, model

__all__ = ("fake_code", "localhost", "model")
