"""The engine Quantum ESPRESSO."""

from .pw_engine import QuantumEspresso

__all__ = ("QuantumEspresso",)
