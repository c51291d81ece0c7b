"""One training loop for all networks: steps, checkpoints, deadline, signals, several processes."""

from .trainer import State, Trainer

__all__ = ["State", "Trainer"]
