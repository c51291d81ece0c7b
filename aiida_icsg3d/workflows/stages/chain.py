"""WorkChain of the stages from sampling to screening as one job, which goes on from the try before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common import AttributeDict
from aiida.orm import CalcJobNode, Dict

from ...calculations.chain.chain import ChainCalculation
from ...calculations.chain.parts import PARTS, ports_of
from .memory import lessen
from .stage import StageWorkChain


class ChainStage(StageWorkChain):
    """The stages from sampling to screening; what a try has done, the next takes over."""

    _process_class = ChainCalculation

    def lessen(self) -> str:
        """Let every stage take less memory: which of them ran out is not always known."""
        parts = {name: self.ctx.inputs[name] for name in PARTS if name in self.ctx.inputs}
        words = {}
        for name, part in parts.items():
            part.setdefault("settings", Dict())
            words[name] = lessen(part, PARTS[name].settings_model())
        return "; ".join(f"{name} {said}" for name, said in words.items() if said)

    def go_on_from(self, node: CalcJobNode) -> None:
        """Link the folder of the last try, if it got one."""
        found = node.base.links.get_outgoing(link_label_filter="remote_folder").all()
        if found:
            self.ctx.inputs.parent_folder = found[0].node


def chain_inputs(given: Mapping[str, Any], of_stages: Mapping[str, Mapping[str, Any]]) -> AttributeDict:
    """Return the inputs of the job of a chain.

    :param given: ``code`` and ``metadata``, as the chain itself has them.
    :param of_stages: stage -> inputs of its own job, of which settings, models and crystals are taken.
    """
    inputs = AttributeDict(given)
    for stage, one in of_stages.items():
        inputs[stage] = AttributeDict({name: one[name] for name in ports_of(stage) if name in one})
    return inputs
