"""Check that every job of the last discovery run in the default profile came from the cache."""

from __future__ import annotations

import sys

from aiida import load_profile, orm

load_profile()
query = orm.QueryBuilder().append(
    orm.WorkChainNode, filters={"attributes.process_label": "DiscoverWorkChain"}, tag="run"
)
run = query.order_by({"run": {"id": "desc"}}).first(flat=True)
jobs = [node for node in run.called_descendants if isinstance(node, orm.CalcJobNode)]
fresh = [f"{node.process_label}<{node.pk}>" for node in jobs if not node.base.caching.is_created_from_cache]
print(f"{len(jobs)} jobs, not from the cache: {', '.join(fresh) or 'none'}")
sys.exit(bool(fresh) or not jobs)
