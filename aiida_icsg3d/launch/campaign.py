"""What a campaign of several rounds is asked for, then a builder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.engine import ProcessBuilder

from ..data import CrystalDatasetData
from ..workflows.campaign.limits import check_limits
from ..workflows.protocols import load_protocol
from .generation import Generation, Resolved


@dataclass(frozen=True)
class Campaign:
    """Rounds of a discovery run.

    :param generation: of each round.
    :param rounds: this and the next three end the campaign, whichever comes first; None: as the protocol says.
    :param stable_within: eV/atom above the hull by DFT up to which a crystal counts as stable.
    :param dataset: PK of what the models were trained on; the prior can be fine-tuned only with it.
    :param tune_predictor: fine-tune the property models after each round; ``tune_prior``: the prior.
    """

    generation: Generation
    rounds: int | None = None
    stable_new: int | None = None
    core_hours: float | None = None
    patience: int | None = None
    stable_within: float | None = None
    dataset: str | None = None
    tune_predictor: bool | None = None
    tune_prior: bool | None = None

    def __post_init__(self) -> None:
        """Refuse limits that cannot be meant, and a campaign without DFT.

        :raises ValueError: as said.
        """
        check_limits({**load_protocol("campaign", self.generation.protocol)["limits"], **self.limits})
        if self.generation.n_relaxations < 1:
            raise ValueError("--n-relaxations 0: a campaign learns from DFT; give at least 1 a round")

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are given."""
        named = {"rounds": self.rounds, "stable_new": self.stable_new, "core_hours": self.core_hours,
                 "patience": self.patience}  # fmt: skip
        return {name: value for name, value in named.items() if value is not None}

    def resolve(self, say: Callable[[str], None] = print, store: bool = True) -> Resolved:
        """Find everything that the rounds need, see :meth:`.generation.Generation.resolve`."""
        return self.generation.resolve(say, store)

    def build(self, found: Resolved) -> ProcessBuilder:
        """Return the builder of the CampaignWorkChain.

        :raises ValueError: something that does not fit together.
        """
        from ..workflows.campaign.campaign import CampaignWorkChain

        arguments: dict[str, Any] = self.generation.arguments(found)
        tune = {"cgcnn": self.tune_predictor, "prior": self.tune_prior}
        return CampaignWorkChain.get_builder_from_protocol(
            arguments.pop("codes"), dataset=self.find_dataset(), limits=self.limits, stable_within=self.stable_within,
            fine_tune={name: wanted for name, wanted in tune.items() if wanted is not None}, **arguments,
        )  # fmt: skip

    def find_dataset(self) -> CrystalDatasetData | None:
        """Return the dataset.

        :raises ValueError: there is none of that PK.
        """
        if self.dataset is None:
            return None
        try:
            node = orm.load_node(self.dataset)
        except NotExistent:
            node = None
        if not isinstance(node, CrystalDatasetData):
            raise ValueError(f"--dataset {self.dataset}: no dataset of this profile; see `aiida-icsg3d data list`")
        return node
