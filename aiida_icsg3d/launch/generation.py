"""What a discovery run is asked for: checked before anything starts, then a builder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.engine import ProcessBuilder

from icsg3d_models.crystals.formulas import amounts_of

from ..dft.pseudos import FamilyError, choose_family
from ..setup.codes import CodeError, find_code
from ..setup.models import (
    collect_models,
    find_reference,
    known_elements,
    samples_around_base,
)
from ..workflows.protocols import load_protocol
from .base_crystals import read_base
from .defaults.aim import Aim, aim_at_stability
from .defaults.potentials import potential_for
from .defaults.screening import screening_of
from .elements import check_symbols, choose_elements
from .job_options import job_options
from .method import Method
from .overrides import joined

ELEMENTS = ("Pb", "Ti", "Mg", "Al", "O")
STAGES = ("sample", "segment", "rebuild", "screen", "prerelax")
OF_ONE_JOB = STAGES[:4]

Say = Callable[[str], None]


@dataclass(frozen=True)
class Resolved:
    """A request whose every name has been found: codes, models, family, crystals.

    :param codes: ``icsg3d``, ``pw`` (what relaxes, a potential too) where there are relaxations, and stages that run
        elsewhere.
    :param family: pseudopotential family; None where there is no DFT, or where it is still to be fetched.
    :param relaxes: whether there are relaxations, and what they need is there.
    :param aim: what the samples are led to where the request names nothing.
    :param prerelax: whether a potential relaxes the candidates before the DFT.
    :param one_job: whether one job does all from sampling to screening.
    """

    codes: dict[str, orm.AbstractCode]
    models: dict[str, Any]
    family: Any
    elements: list[str]
    reference: Any
    base: dict[str, orm.StructureData]
    overrides: dict[str, Any]
    options: dict[str, dict[str, Any]]
    relaxes: bool
    aim: Aim | None = None
    prerelax: bool = False
    one_job: bool = False


@dataclass(frozen=True)
class Generation:
    """What a discovery run is asked for, in the words of a person.

    :param elements: chemical space, cut to what models and pseudopotentials have; None: the elements of the
        composition or of the base crystals, or :data:`ELEMENTS`.
    :param models: name of a pretrained set; PK of a training run; or PKs, UUIDs and paths of the networks.
    :param base: files of crystals to sample around, ``spread`` standard deviations of the training latents wide.
    :param targets: property -> value to aim at.
    :param n_phonons: of how many of the relaxed crystals pw.x computes phonons; None: as the protocol says.
    :param aim: without ``targets``, and without crystals to sample around: aim at stability where the models can.
    :param prerelax: relax the candidates with a machine-learned potential before the DFT; None: as the protocol says,
        where a potential is installed.
    :param one_job: sample, segment, rebuild and screen in one job; None: as the protocol says.
    :param asked: what else is asked for: name of a condition -> value, see :mod:`icsg3d_models.conditions`.
    :param code: code of icsg3d; ``stage_codes``: stage -> another one.
    :param options: YAML file, or mapping: stage, ``icsg3d`` or ``pw`` -> AiiDA's ``metadata.options``.
    :param engine: ``quantum_espresso`` or ``potential``; this and what follows, where None, as protocol and file say.
    :param spin: of pw.x: ``auto``, ``none`` or ``collinear``.
    :param electronic_type: of pw.x: ``metal`` or ``insulator``.
    :param hubbard: element -> manifold -> on-site U (eV), or words such as ``Fe-3d=5.3``.
    :param overrides: YAML file in the layout of the protocol ``discover``, or such a mapping.
    """

    elements: Sequence[str] | None = None
    n_samples: int = 64
    n_relaxations: int = 2
    n_phonons: int | None = None
    seed: int = 0
    models: Sequence[str] = ("perov5",)
    base: Sequence[Path] = ()
    spread: float | None = None
    interpolate: bool = False
    guidance: float | None = None
    reference: int | str | None = None
    targets: Mapping[str, float] = field(default_factory=dict)
    aim: bool = True
    prerelax: bool | None = None
    one_job: bool | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    code: str = "icsg3d@localhost"
    stage_codes: Mapping[str, str] = field(default_factory=dict)
    pw_code: str = "pw@localhost"
    options: Path | Mapping[str, Any] | None = None
    protocol: str = "fast"
    pseudo_family: str | None = None
    engine: str | None = None
    spin: str | None = None
    electronic_type: str | None = None
    hubbard: Mapping[str, Mapping[str, float]] | Sequence[str] = ()
    overrides: Path | Mapping[str, Any] | None = None
    method: Method = field(init=False)

    def __post_init__(self) -> None:
        """Refuse what makes no run whatever is there.

        :raises ValueError: no chemical symbol, a count below what there can be, or what :class:`.Method` refuses.
        """
        method = Method(self.engine, self.spin, self.electronic_type, self.hubbard, self.overrides, self.protocol)
        object.__setattr__(self, "method", method)
        if method.is_potential and self.pseudo_family:
            raise ValueError("--pseudo-family is for pw.x; the engine potential takes no pseudopotentials")
        check_symbols(self.elements or ())
        if self.n_samples < 1:
            raise ValueError(f"--n-samples {self.n_samples}: at least one sample is needed")
        if self.n_relaxations < 0:
            raise ValueError(f"--n-relaxations {self.n_relaxations}: give 0 for no DFT, or how many to relax")
        if self.n_phonons is not None and not 0 <= self.n_phonons <= self.n_relaxations:
            raise ValueError(f"--phonons {self.n_phonons}: give 0 to --n-relaxations, which is {self.n_relaxations}")
        if self.n_phonons and (method.is_potential or method.merged["hubbard"]):
            what = "the engine potential" if method.is_potential else "Hubbard terms"
            raise ValueError(f"--phonons {self.n_phonons}: phonons are computed by pw.x, and not with {what}")

    def builder(self, say: Say = print) -> ProcessBuilder:
        """Return the builder of the DiscoverWorkChain; models and pseudopotentials are stored where they are new.

        :raises ValueError: a code, family or model that is missing, or something that does not fit together; the
            message says how to get it right.
        """
        return self.build(self.resolve(say))

    def resolve(self, say: Say = print, store: bool = True) -> Resolved:
        """Find everything that the request names.

        :param say: takes one line about what is decided.
        :param store: False: leave the profile as it is; nothing is downloaded or stored.
        :raises ValueError: as of :meth:`builder`.
        """
        codes = self.find_codes()
        one_job = self._one_job()
        stages = ("chain", *(s for s in STAGES if s not in OF_ONE_JOB)) if one_job else STAGES
        options = job_options(self.options, codes, stages, self.method.is_potential)
        models = collect_models(list(self.models), store=store)
        available = {"the model": known_elements(models)}
        dft = self.n_relaxations > 0 and not self.method.is_potential
        family = self._find_family(say, store) if dft else None
        if family is not None:
            available[f"the pseudopotential family {family.label}"] = set(family.elements)
        base = read_base(self.base, say)
        elements = self._choose_elements(models, base, available, say)
        if self.n_relaxations:
            self.method.check_elements(elements)
        overrides: dict[str, Any] = {}
        sampling = self._sampling(models, base)
        free = self.aim and not (self.targets or base)
        aim = aim_at_stability(models, self.n_samples, self.guidance) if free else None
        if aim is not None:
            say(aim.words)
            sampling = {"guidance": aim.guidance, "unaimed": aim.unaimed, **sampling}
        if sampling:
            overrides["generate"] = {"sample": {"settings": sampling}}
        prerelax, settings = self._prerelaxation(codes, say)
        if settings:
            overrides["prerelax"] = {"settings": settings}
        reference = self._find_reference(models, store)
        screening = screening_of(models, elements, reference, say)
        if "rank_by" in self.method.content.get("screen", {}).get("screen", {}).get("settings", {}):
            screening.pop("rank_by", None)  # somebody has chosen
        if screening:
            overrides["screen"] = {"screen": {"settings": screening}}
        say(f"elements {', '.join(elements)}; {self.n_samples} samples, {self.n_relaxations} relaxations"
            + (f" with {family.label}" if family else ""))  # fmt: skip
        overrides = joined(self.method.discovery, overrides)
        relaxes = self.n_relaxations > 0 and (family is not None or not dft)
        return Resolved(codes, models, family, elements, reference, base, overrides, options, relaxes, aim, prerelax,
                        one_job)  # fmt: skip

    def build(self, found: Resolved) -> ProcessBuilder:
        """Return the builder of a request that :meth:`resolve` has found everything of."""
        from ..workflows.discover import DiscoverWorkChain

        arguments = self.arguments(found)
        return DiscoverWorkChain.get_builder_from_protocol(arguments.pop("codes"), **arguments)

    def arguments(self, found: Resolved) -> dict[str, Any]:
        """Return what the builder of a DiscoverWorkChain, or of rounds of it, is made of."""
        return {
            "codes": found.codes,
            "models": found.models,
            "reference": found.reference,
            "elements": found.elements,
            "asked": dict(self.asked) or None,
            "base": found.base or None,
            "overrides": found.overrides,
            "targets": dict(self.targets) or (found.aim.targets if found.aim else None),
            "prerelax": found.prerelax,
            "one_job": found.one_job,
            "n_samples": self.n_samples,
            "n_relaxations": self.n_relaxations if found.relaxes else 0,
            "n_phonons": self.n_phonons if found.relaxes else 0,
            "seed": self.seed,
            "protocol": self.protocol,
            "pseudo_family": found.family.label if found.family else None,
            "options": found.options or None,
        }

    def find_codes(self) -> dict[str, orm.AbstractCode]:
        """Return the codes: ``icsg3d``, ``pw`` where there are relaxations, and stages that run elsewhere.

        :raises CodeError: one is not there, or runs something else.
        """
        codes = {"icsg3d": find_code(self.code, "icsg3d.sample", "icsg3d")}
        for stage, label in self.stage_codes.items():
            codes[stage] = find_code(label, f"icsg3d.{stage}", "icsg3d")
        if "relax" in codes and not self.method.is_potential:
            raise CodeError("--code-relax is the code of the engine potential; --pw-code names that of pw.x")
        relax = codes.pop("relax", codes["icsg3d"])
        if self.n_relaxations and self.method.is_potential:
            codes["pw"] = relax  # the DiscoverWorkChain calls by this name whatever relaxes
        elif self.n_relaxations:
            codes["pw"] = find_code(self.pw_code, "quantumespresso.pw", "pw.x")
            if codes["pw"].uuid in {code.uuid for stage, code in codes.items() if stage != "pw"}:
                raise CodeError(f"{codes['pw'].full_label} is given for icsg3d and for pw.x; --pw-code names another")
        return codes

    def _one_job(self) -> bool:
        """Return whether one job does all from sampling to screening.

        :raises ValueError: stages of it have codes of their own.
        """
        of_protocol = load_protocol("discover", self.protocol, self.method.discovery)["generate"].get("one_job")
        if self.one_job is False or not (self.one_job or of_protocol):
            return False
        if own := [f"--code-{stage}" for stage in OF_ONE_JOB if stage in self.stage_codes]:
            raise ValueError(f"one job runs all stages with --code; {', '.join(own)} cannot be given with it")
        return True

    def _find_family(self, say: Say, store: bool) -> Any:
        """Return the pseudopotential family, None where it is to be fetched and nothing may be stored."""
        if store or self.pseudo_family:
            return choose_family(self.pseudo_family, say=say)
        try:
            return choose_family(install=False)
        except FamilyError:
            say("no SSSP or PseudoDojo family is installed; one would be downloaded or made from Debian's files")
            return None

    def _choose_elements(
        self, models: dict[str, Any], base: dict[str, orm.StructureData], available: dict[str, set[str]], say: Say
    ) -> list[str]:
        """Return the elements of the run; what is named by a composition or a base crystal must be among them."""
        if samples_around_base(models) and not base:
            raise ValueError(
                f"the models {' '.join(self.models)} sample around crystals that you give: add --base FILE"
            )
        own = sorted({symbol for structure in base.values() for symbol in structure.get_symbols_set()})
        composition = self.asked.get("composition")
        named = sorted(amounts_of(composition)) if composition else own
        elements = choose_elements(list(self.elements or named or ELEMENTS), available, say)
        if lost := [symbol for symbol in named if composition and symbol not in elements]:
            raise ValueError(f"{composition} cannot be made: {', '.join(lost)} cannot be used")
        if unnamed := [symbol for symbol in own if symbol not in elements]:
            raise ValueError(
                f"{', '.join(unnamed)} of the crystals of --base cannot be used: --elements, the models or the "
                "pseudopotential family lack it, and sites would be taken for something else"
            )
        return elements

    def _prerelaxation(self, codes: Mapping[str, orm.AbstractCode], say: Say) -> tuple[bool, dict[str, Any]]:
        """Return whether candidates are pre-relaxed, and settings of it other than the protocol's.

        :raises ValueError: it is asked for, and no potential is there.
        """
        wanted = load_protocol("discover", self.protocol, self.method.discovery)["prerelax"]
        if not (wanted["run"] if self.prerelax is None else self.prerelax):
            return False, {}
        if self.prerelax is None and self.method.is_potential:  # the relaxations are its own
            return False, {}
        potential = wanted["settings"]["potential"]
        name, words = potential_for(codes.get("prerelax", codes["icsg3d"]), potential)
        if name is None and self.prerelax:
            raise ValueError(f"--prerelax: {words}")
        if words:
            say(words)
        if name is None or name == potential["name"]:
            return name is not None, {}
        return True, {"potential": {"name": name}, "second": None}

    def _sampling(self, models: dict[str, Any], base: dict[str, orm.StructureData]) -> dict[str, Any]:
        """Return the settings of the sampling that are asked for beside the conditions."""
        if self.spread is not None and not base:
            raise ValueError("--spread is a width around --base, which is not given")
        sampling: dict[str, Any] = {
            name: value for name in ("spread", "guidance") if (value := getattr(self, name)) is not None
        }
        if self.interpolate:
            if len(base) != 2:
                raise ValueError(
                    f"--interpolate goes from one crystal of --base to another; {len(base)} given, two needed"
                )
            sampling["mode"] = "interpolate"
        return sampling

    def _find_reference(self, models: dict[str, Any], store: bool) -> Any:
        """Return what novelty is judged against, None where that is not known."""
        if self.reference is None:
            return find_reference(list(self.models), models, store=store)
        try:
            return orm.load_node(self.reference)
        except NotExistent:
            raise ValueError(f"--reference {self.reference}: there is no such node in this profile") from None
