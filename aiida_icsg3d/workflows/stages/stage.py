"""WorkChain of one stage: its job, and the job again where that helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import BaseRestartWorkChain, ExitCode, ProcessHandlerReport, process_handler, while_
from aiida.orm import CalcJobNode, Int, Node, ProcessNode, to_aiida_type

from ...calculations.base import StageCalculation
from ...calculations.exit_codes import declare, failed_child, label_of
from ...calculations.failures.diagnosis import AGAIN, HOPELESS, SMALLER, STAGE_BEFORE, Diagnosis, diagnose
from ...calculations.failures.stderr import last_line
from ...calculations.rebuild import RebuildCalculation
from ...calculations.relax import RelaxCalculation
from ...calculations.sample import SampleCalculation
from ...calculations.screen import ScreenCalculation
from ...calculations.segment import SegmentCalculation
from .memory import lessen

MAX_RETRIES = 2
MOST_ITERATIONS = 30  # halving the batches counts, too; what limits a run is `max_retries`
NOT_HERE = ("crystals",)
"""Outputs of a job that stay with it alone: thousands of links are slow at every level that repeats them."""
RESULTS = ("ERROR_NOTHING_REBUILT", "ERROR_NOTHING_VALID")
"""Ends of a job that are results; the same again would give the same."""


def validate_retries(node: Int, _: Any) -> str | None:
    """Refuse less than zero."""
    return f"received {node.value}; it must be 0 or more" if node.value < 0 else None


class StageWorkChain(BaseRestartWorkChain):
    """Run the job of a stage until it ends well, or nothing can mend it.

    Again: killed, preempted, lost with its node. With smaller batches: out of memory; a crystal does not depend on the
    size of its batch. Not again: what is wrong with program, settings, account or disk; the exit code says what.
    """

    _process_class: type[StageCalculation]

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.inputs["max_iterations"].default = lambda: Int(MOST_ITERATIONS)
        spec.expose_inputs(cls._process_class, namespace="job")
        spec.input(
            "max_retries", valid_type=Int, default=lambda: Int(MAX_RETRIES), serializer=to_aiida_type,
            validator=validate_retries,
            help="How often the job is tried again after it was killed, preempted or lost with its node.",
        )  # fmt: skip
        steps: Any = cls
        spec.outline(
            steps.setup, while_(steps.should_run_process)(steps.run_process, steps.inspect_process), steps.results
        )
        spec.expose_outputs(cls._process_class, exclude=NOT_HERE)
        for port in spec.outputs.values():
            port.required = False
        declare(
            spec, "ERROR_OUT_OF_MEMORY_AT_SMALLEST_BATCH", "ERROR_JOB_FAILED", "ERROR_JOB_GIVEN_UP",
            "ERROR_STAGE_BEFORE_GONE", *RESULTS,
        )  # fmt: skip

    def setup(self) -> None:
        """Start from the inputs given."""
        super().setup()
        self.ctx.inputs = self.exposed_inputs(self._process_class, "job")
        self.ctx.cut_off = 0

    def inspect_process(self) -> ExitCode | None:
        """Call the handlers; where the WorkChain ends in an error, attach what the last job left."""
        node: CalcJobNode = self.ctx.children[-1]
        if node.is_killed or node.is_excepted:
            exit_code: ExitCode | None = self.failure("ERROR_JOB_FAILED", node, end_of(node))
        else:
            exit_code = super().inspect_process()
        if exit_code is not None and exit_code.status:
            self.out_many(dict(self.get_outputs(node)))
        return exit_code

    def failure(self, label: str, node: CalcJobNode, words: str, **more: Any) -> ExitCode:
        """Return an exit code with the words on the job."""
        return failed_child(self.exit_codes, label, node, words, **more)

    @process_handler(priority=100)
    def handle_failure(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Find out why a job failed, and do what helps."""
        if node.is_finished_ok:
            return None
        label = label_of(node)
        if label in RESULTS:
            return self.end(
                self.exit_codes[label].format(label=node.process_label, pk=node.pk, message=node.exit_message)
            )
        found = diagnose(node)
        if found.treatment == HOPELESS:
            return self.end(self.failure("ERROR_JOB_FAILED", node, found.words))
        if found.treatment == STAGE_BEFORE:
            return self.end(self.failure("ERROR_STAGE_BEFORE_GONE", node, found.words))
        if found.treatment == SMALLER:
            return self.take_less_memory(node, found)
        assert found.treatment == AGAIN
        return self.try_again(node, found)

    def try_again(self, node: CalcJobNode, found: Diagnosis) -> ProcessHandlerReport:
        """Let the same job begin again, unless it was cut off too often."""
        self.ctx.cut_off += 1
        if self.ctx.cut_off > self.inputs.max_retries.value:
            return self.end(self.failure("ERROR_JOB_GIVEN_UP", node, found.words, count=self.ctx.iteration))
        self.report(f"{node.process_label}<{node.pk}> was cut off, again: {found.words}")
        if self.ctx.cut_off > 1:  # a kernel that kills for memory says so to no one but its own log
            self.lessen()
        self.go_on_from(node)
        return ProcessHandlerReport(True)

    def take_less_memory(self, node: CalcJobNode, found: Diagnosis) -> ProcessHandlerReport:
        """Let the job begin again with less at a time, unless it is one at a time already."""
        words = self.lessen()
        if not words:
            return self.end(self.exit_codes.ERROR_OUT_OF_MEMORY_AT_SMALLEST_BATCH.format(batch_size=1))
        self.report(f"{node.process_label}<{node.pk}>, again with {words}: {found.words}")
        self.go_on_from(node)
        return ProcessHandlerReport(True)

    def lessen(self) -> str:
        """Let the next try take less memory; return how, in words, empty where it takes the least."""
        return lessen(self.ctx.inputs, self._process_class.settings_model())

    def go_on_from(self, node: CalcJobNode) -> None:
        """Let the next try take over what the last one has done; here nothing, a stage begins anew."""

    @staticmethod
    def end(exit_code: ExitCode) -> ProcessHandlerReport:
        """Return what ends the WorkChain."""
        return ProcessHandlerReport(True, exit_code)

    def get_outputs(self, node: ProcessNode) -> Mapping[str, Node]:
        """Return the outputs of a job that are repeated here, without loading its thousands of crystals."""
        found = {}
        for name in self.spec().outputs:
            for triple in node.base.links.get_outgoing(link_label_filter=name).all():
                found[name] = triple.node
        return found


def end_of(node: CalcJobNode) -> str:
    """Return the words for a job that was killed or raised an exception."""
    if node.is_killed:
        return node.process_status or "killed by the user"
    return f"{last_line(node.exception) or 'an exception'}; see `verdi process report {node.pk}`"


class SampleStage(StageWorkChain):
    """The stage sample."""

    _process_class = SampleCalculation


class SegmentStage(StageWorkChain):
    """The stage segment."""

    _process_class = SegmentCalculation


class RebuildStage(StageWorkChain):
    """The stage rebuild; its crystals are outputs of its job only."""

    _process_class = RebuildCalculation


class ScreenStage(StageWorkChain):
    """The stage screen."""

    _process_class = ScreenCalculation


class RelaxStage(StageWorkChain):
    """The stage relax; its crystals are outputs of its job only."""

    _process_class = RelaxCalculation


def last_job(stage: ProcessNode) -> ProcessNode:
    """Return the last job of a stage, or the stage itself where it began none."""
    return max(stage.called, key=lambda node: node.pk or 0, default=stage)
