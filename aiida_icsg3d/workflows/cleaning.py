"""Removal of the remote folders of the jobs a WorkChain called."""

from __future__ import annotations

from aiida.common.exceptions import AiidaException
from aiida.engine import WorkChain
from aiida.orm import CalcJobNode


def clean_called(process: WorkChain) -> None:
    """Empty the remote folder of every CalcJob below a WorkChain and report which; failures are reported too.

    A job that was taken from the cache names the folder of the run that computed it, which is not emptied.
    """
    cleaned = []
    for node in process.node.called_descendants:
        if not isinstance(node, CalcJobNode) or "remote_folder" not in node.outputs:
            continue
        if node.base.caching.is_created_from_cache:
            continue
        try:
            node.outputs.remote_folder._clean()
            cleaned.append(node.pk)
        except (OSError, KeyError, AiidaException) as exception:
            process.report(f"the remote folder of <{node.pk}> could not be cleaned: {exception}")
    if cleaned:
        process.report(f"cleaned the remote folders of {' '.join(map(str, cleaned))}")
