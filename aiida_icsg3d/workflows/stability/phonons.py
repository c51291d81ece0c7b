"""Phonons of a relaxed crystal by DFT: is it a minimum, and where does an imaginary mode lead."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ProcessBuilder, ToContext, if_, while_
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from ...calculations.exit_codes import declare, failed_child
from ...dft.quantum_espresso.pw_forces import again, check_relaxed, forces_inputs, forces_of, validation_of
from ..validate import ValidateWorkChain, validate_positive
from ..window import WindowWorkChain
from .displacing import compare_with_lower, displace, find_modes


class PhononsWorkChain(WindowWorkChain):
    """Compute the modes of a crystal that pw.x relaxed, and follow the lowest one once where it is imaginary.

    Frozen phonons, with code, pseudopotentials, cut-offs, moments and k-points of the relaxation.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("structure", valid_type=orm.StructureData, help="A crystal that ValidateWorkChain relaxed by pw.x.")
        spec.input(
            "settings", valid_type=orm.Dict, serializer=orm.to_aiida_type, validator=validate_settings,
            default=lambda: orm.Dict({}),
            help="`supercell` (multiples of the cell, 1 1 1), `displacement` (Å, 0.03), `threshold` (THz, 0.3), "
            "`follow` (true).",
        )  # fmt: skip
        spec.input(
            "max_concurrent", valid_type=orm.Int, default=lambda: orm.Int(2), serializer=orm.to_aiida_type,
            validator=validate_positive, help="How many displaced crystals are computed at a time.",
        )  # fmt: skip
        steps: Any = cls
        spec.outline(
            steps.setup,
            while_(steps.should_go_on)(steps.launch, steps.inspect),
            steps.analyse,
            if_(steps.should_follow)(steps.follow, steps.conclude),
        )
        spec.output(
            "modes", valid_type=orm.Dict, required=False,
            help="lowest_frequency_THz (negative: imaginary), its wave_vector, dynamically_stable, and all frequencies "
            "at the wave vectors that fit into the supercell, translations left out.",
        )  # fmt: skip
        spec.output("lower", valid_type=orm.StructureData, required=False, help="Where the imaginary mode led.")
        spec.output(
            "followed", valid_type=orm.Dict, required=False, help="How much lower that is, and its space group."
        )
        declare(spec, "ERROR_NOT_RELAXED", "ERROR_FORCES_FAILED", "ERROR_LOWER_FAILED")

    @classmethod
    def get_builder_of(cls, structure: orm.StructureData, **settings: Any) -> ProcessBuilder:
        """Return a builder for a relaxed crystal.

        :raises ValueError: the crystal was not relaxed by pw.x, or a setting is not accepted.
        """
        check_relaxed(structure)
        builder: Any = cls.get_builder()
        builder.structure = structure
        builder.settings = orm.Dict(settings)
        made: ProcessBuilder = builder
        return made

    def setup(self) -> ExitCode | None:
        """Make the displaced crystals."""
        structure = self.inputs.structure
        try:
            check_relaxed(structure)
        except ValueError as exception:
            return self.exit_codes.ERROR_NOT_RELAXED.format(reason=str(exception))
        self.ctx.settings = orm.Dict(complete(self.inputs.settings.get_dict()))
        made: Any = displace(structure, self.ctx.settings)
        self.ctx.displaced = dict(made["displaced"])
        self.ctx.waiting = sorted(self.ctx.displaced)
        self.report(f"{len(self.ctx.waiting)} displacements of {len(structure.sites)} sites")
        return None

    def should_go_on(self) -> bool:
        """Whether something is left to begin or to end."""
        return bool(self.ctx.waiting or self.running)

    def launch(self) -> ToContext | None:
        """Begin force calculations until as many run as may."""
        relaxation = check_relaxed(self.inputs.structure)
        while self.ctx.waiting and len(self.running) < self.inputs.max_concurrent.value:
            name = self.ctx.waiting.pop(0)
            inputs = forces_inputs(relaxation, self.inputs.structure, self.ctx.displaced[name])
            inputs.metadata = {"call_link_label": f"forces_{name}"}
            self.begin(name, PwBaseWorkChain, **inputs)
        return self.still_running()

    def inspect(self) -> ExitCode | None:
        """End at the first that failed: modes need all of them."""
        for node in self.ended().values():
            try:
                forces_of(node)
            except ValueError as exception:
                return failed_child(self.exit_codes, "ERROR_FORCES_FAILED", node, message=str(exception))
        return None

    def analyse(self) -> None:
        """Attach the modes."""
        forces = {name: forces_of(self.ctx[name]) for name in self.ctx.displaced}
        made: Any = find_modes(self.inputs.structure, self.ctx.settings, **forces)
        self.out("modes", made["modes"])
        self.ctx.pushed = made.get("pushed")
        content = made["modes"].get_dict()
        said = "a minimum" if content["dynamically_stable"] else "an imaginary mode"
        self.report(f"{said}: lowest mode {content['lowest_frequency_THz']:.2f} THz at {content['wave_vector']}")

    def should_follow(self) -> bool:
        """Whether there is an imaginary mode, and it is to be followed."""
        return self.ctx.pushed is not None and bool(self.ctx.settings.get_dict()["follow"])

    def follow(self) -> ToContext:
        """Relax the crystal that was pushed along the mode."""
        builder: Any = again(self.inputs.structure, self.ctx.pushed)
        builder.metadata.call_link_label = "relax_lower"
        return ToContext(lower=self.submit(ValidateWorkChain, **builder._inputs(prune=True)))

    def conclude(self) -> ExitCode | None:
        """Attach the lower crystal, and by how much it is lower."""
        node = self.ctx.lower
        if not node.is_finished_ok:
            return failed_child(self.exit_codes, "ERROR_LOWER_FAILED", node)
        validation, identifier = validation_of(self.inputs.structure)
        before, after = validation.outputs.energies[identifier], node.outputs.energies["lower"]
        followed: Any = compare_with_lower(before, after, node.outputs.results)
        self.out("followed", followed)
        self.out("lower", node.outputs.relaxed["lower"])
        content = followed.get_dict()
        self.report(f"along it {1e3 * content['lower_by_eV_per_atom']:.1f} meV/atom lower, "
                    f"{content['spacegroup_symbol']}")  # fmt: skip
        return None


def complete(given: dict[str, Any]) -> dict[str, Any]:
    """Return all settings.

    :raises ValueError: one is not accepted.
    """
    from icsg3d_models.settings.relax import PhononSettings

    known = ("supercell", "displacement", "threshold", "follow")
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"{', '.join(unknown)}: no such setting; accepted are {', '.join(known)}")
    checked = PhononSettings.model_validate({"supercell": (1, 1, 1), **given})
    return {**checked.model_dump(include=set(known)), "supercell": list(checked.supercell)}


def validate_settings(node: orm.Dict, _: Any) -> str | None:
    """Refuse settings that are not accepted."""
    try:
        complete(node.get_dict())
    except ValueError as exception:
        return str(exception)
    return None
