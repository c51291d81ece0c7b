"""WorkChains that go on as soon as one of the processes that they wait for has ended."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiida.engine import ProcessState, ToContext, WorkChain
from aiida.orm import ProcessNode, load_node


class WindowWorkChain(WorkChain):
    """Keep so many processes running: as soon as one ends, the next step runs, not only when all have ended.

    AiiDA's own waits for all processes of a step, so that a batch waits for its slowest. A subclass begins processes
    with :meth:`begin`, returns :meth:`still_running` from that step, and asks :meth:`ended` in the next.
    """

    def begin(self, key: str, process: Any, **inputs: Any) -> ProcessNode:
        """Submit a process, whose node will stand in the context under ``key`` once it has ended."""
        node: ProcessNode = self.submit(process, **inputs)
        self.ctx.setdefault("running", {})[key] = node.pk
        return node

    @property
    def running(self) -> dict[str, int]:
        """Key in the context -> PK of what was begun and has not been seen to end."""
        found: dict[str, int] = self.ctx.setdefault("running", {})
        return found

    def still_running(self) -> ToContext | None:
        """Return what to wait for the first of; None: nothing runs."""
        nodes = {key: load_node(pk) for key, pk in self.running.items()}
        return ToContext(**nodes) if nodes else None

    def ended(self) -> dict[str, ProcessNode]:
        """Return key -> node of what has ended since this was asked last."""
        found = {key: self.ctx[key] for key in self.running if isinstance(self.ctx.get(key), ProcessNode)}
        self.ctx.running = {key: pk for key, pk in self.running.items() if key not in found}
        return found

    def _action_awaitables(self) -> None:
        """Listen to the end of what is waited for, once a process: steps that follow wait for the same ones."""
        heard: set[int] = self.__dict__.setdefault("_heard", set())
        for awaitable in self._awaitables:
            if awaitable.pk not in heard:
                heard.add(awaitable.pk)
                callback = partial(self.call_soon, self._on_awaitable_finished, awaitable)
                self.runner.call_on_process_finish(awaitable.pk, callback)

    def _on_awaitable_finished(self, awaitable: Any) -> None:
        """Take the node into the context and go on."""
        self.__dict__.setdefault("_heard", set()).discard(awaitable.pk)
        present = next((found for found in self._awaitables if found.pk == awaitable.pk), None)
        if present is None:  # it ended between two steps; the next one listens anew, and hears of it at once
            return
        super()._on_awaitable_finished(present)
        if self._awaitables and self.state == ProcessState.WAITING:
            self.resume()
