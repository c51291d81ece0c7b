"""DFT validation: inputs from protocol and family, and what is made of every way a relaxation can end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.dft.engine import task_label
from aiida_icsg3d.dft.quantum_espresso.pw_failures import explain_failure
from aiida_icsg3d.workflows.validate import ValidateWorkChain
from tests.aiida.pseudo_families import make_family

RELAX, BASE, PW = (
    "aiida.workflows:quantumespresso.pw.relax",
    "aiida.workflows:quantumespresso.pw.base",
    "aiida.calculations:quantumespresso.pw",
)
pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


def perovskite(shift: float = 0.0, a: float = 4.0, elements: str = "Pb Ti O") -> Structure:
    """Return an ABX3 perovskite whose first X site is moved along x by ``shift`` Å."""
    first, second, third = elements.split()
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5 + shift / a, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(a), [first, second, third, third, third], sites)


def data(structure: Structure) -> orm.StructureData:
    """Return a structure as a node."""
    return orm.StructureData(pymatgen=structure)


@pytest.fixture
def code(localhost: orm.Computer) -> orm.InstalledCode:
    """Return a code of pw.x that is never run."""
    return orm.InstalledCode(
        computer=localhost, filepath_executable="/bin/true", label="pw", default_calc_job_plugin="quantumespresso.pw"
    ).store()


@pytest.fixture
def family(tmp_path: Path) -> Any:
    """Return a family of Pb (20, 160 Ry), Ti (30, 240), O (40, 320) and Fe, with 1 Ry more for `normal`."""
    return make_family(tmp_path, "made up", elements="Pb Ti O Fe", stringencies=("low", "normal"))


@pytest.fixture
def process(code: Any, family: Any, workchain: Callable[..., Any]) -> Callable[..., Any]:
    """Return a factory of WorkChains that have been set up but not run."""

    def build(structures: dict[str, Any], **kwargs: Any) -> Any:
        nodes = {name: data(s) if isinstance(s, Structure) else s for name, s in structures.items()}
        builder = ValidateWorkChain.get_builder_from_protocol(code, nodes, pseudo_family="made up", **kwargs)
        chain = workchain(ValidateWorkChain, builder)
        assert chain.setup() is None
        return chain

    return build


def inputs_of(chain: Any, identifier: str = "a", start: str = "nonmagnetic") -> Any:
    """Return the inputs of the relaxation of one crystal."""
    engine = chain.engine()
    chain.ctx.waiting = [identifier]
    chain.prepare(engine)
    chain.ctx.tasks = []
    return engine.process({identifier: chain.ctx.prepared[task_label([identifier], start)]}, start)[1]


def called(
    caller: orm.ProcessNode | None, kind: str, status: int | None, message: str | None = None,
    state: ProcessState = ProcessState.FINISHED,
) -> Any:  # fmt: skip
    """Return a stored node of a process that has ended, called by another; status None: it raised."""
    node_class = orm.CalcJobNode if kind == PW else orm.WorkChainNode
    node = node_class(process_type=kind)
    node.set_process_label({RELAX: "PwRelaxWorkChain", BASE: "PwBaseWorkChain", PW: "PwCalculation"}[kind])
    node.set_process_state(ProcessState.EXCEPTED if status is None else state)
    if status is not None:
        node.set_exit_status(status)
    node.set_exit_message(message)
    if caller is not None:
        link = LinkType.CALL_CALC if kind == PW else LinkType.CALL_WORK
        node.base.links.add_incoming(caller, link_type=link, link_label=f"called_{len(caller.called)}")
    return node.store()


def give_inputs(node: orm.ProcessNode, inputs: Mapping[str, Any], path: str = "") -> orm.ProcessNode:
    """Link the inputs that a process was submitted with, and store it."""
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            give_inputs(node, value, f"{path}{name}__") if name not in ("metadata", "options") else None
        elif isinstance(value, orm.Data):
            value.store()
            node.base.links.add_incoming(value, link_type=LinkType.INPUT_WORK, link_label=f"{path}{name}")
    return node


def relaxation(chain: Any, status: int | None, identifier: str = "a", start: str = "nonmagnetic") -> Any:
    """Return a PwRelaxWorkChain of a crystal that has ended, with the inputs that the engine gives it."""
    node = orm.WorkChainNode(process_type=RELAX)
    node.set_process_label("PwRelaxWorkChain")
    give_inputs(node, inputs_of(chain, identifier, start))
    node.set_process_state(ProcessState.EXCEPTED if status is None else ProcessState.FINISHED)
    if status is not None:
        node.set_exit_status(status)
    return node.store()


def has_run(chain: Any, node: orm.ProcessNode, identifier: str = "a", start: str = "nonmagnetic") -> None:
    """Let the chain know of a relaxation that it has started."""
    label = task_label([identifier], start)
    chain.ctx[f"relaxation_{label}"] = node
    chain.ctx.launched[f"relaxation_{label}"] = {"label": label, "crystals": [identifier], "start": start}


def give_outputs(node: orm.ProcessNode, structure: Structure | orm.StructureData, energy: float, **said: Any) -> None:
    """Attach a relaxed structure and an energy, and what else pw.x says, to a relaxation."""
    relaxed = structure if isinstance(structure, orm.StructureData) else data(structure)
    outputs = {"output_structure": relaxed, "output_parameters": orm.Dict({"energy": energy, **said})}
    for label, output in outputs.items():
        output.store().base.links.add_incoming(node, link_type=LinkType.RETURN, link_label=label)


def test_protocol_fills_everything(code: Any, family: Any) -> None:
    builder = ValidateWorkChain.get_builder_from_protocol(code, {"a": data(perovskite())}, pseudo_family="made up")
    parameters = builder.relax.base_relax.pw.parameters.get_dict()
    assert parameters["CONTROL"]["calculation"] == "vc-relax"
    assert "ecutwfc" not in parameters["SYSTEM"]
    assert builder.relax.meta_convergence
    assert builder.cutoff_stringency == "low"
    assert builder.relax.base_relax.pw.metadata.options.resources["num_machines"] == 1


def test_overrides_and_options(code: Any, family: Any) -> None:
    builder = ValidateWorkChain.get_builder_from_protocol(
        code,
        protocol="balanced",
        pseudo_family="made up",
        overrides={
            "max_concurrent": 7,
            "symmetry_precision": 0,
            "relax": {"base_relax": {"pw": {"parameters": {"SYSTEM": {"ecutwfc": 33, "nspin": 2}}}}},
        },
        options={"queue_name": "debug"},
    )
    system = builder.relax.base_relax.pw.parameters["SYSTEM"]
    assert (system["ecutwfc"], system["nspin"], system["smearing"]) == (33, 2, "cold")
    assert builder.max_concurrent.value == 7
    assert "symmetry_precision" not in builder
    assert builder.relax.base_relax.pw.metadata.options.queue_name == "debug"


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"protocol": "quick"}, "fast, balanced, stringent"),
        ({"overrides": {"max_concurent": 1}}, "max_concurent"),
        (
            {"overrides": {"relax": {"base_relax": {"kpoint_distance": 1}}}},
            r"relax.base_relax.kpoint_distance is no input",
        ),
        ({"pseudo_family": "hers"}, "'hers' is not installed"),
    ],
)
def test_typing_errors_raise(code: Any, family: Any, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ValidateWorkChain.get_builder_from_protocol(code, **{"pseudo_family": "made up", **kwargs})


@pytest.mark.parametrize(
    ("structures", "count", "message"), [({}, 1, "no structures to relax"), (None, 0, "at least 1")]
)
def test_inputs_that_make_no_sense(
    process: Callable[..., Any], structures: dict[str, Structure] | None, count: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        process({"a": perovskite()} if structures is None else structures, overrides={"max_concurrent": count})


def test_family_that_is_gone(process: Callable[..., Any], family: Any) -> None:
    chain = process({"a": perovskite()})
    orm.Group.collection.delete(family.pk)
    exit_code = chain.setup()
    assert exit_code.status == 202
    assert "'made up' is not installed" in exit_code.message


def test_inputs_of_one_relaxation(process: Callable[..., Any]) -> None:
    inputs = inputs_of(process({"a": perovskite(shift=0.03)}))
    parameters = inputs.base_relax.pw.parameters.get_dict()
    assert (parameters["SYSTEM"]["ecutwfc"], parameters["SYSTEM"]["ecutrho"]) == pytest.approx((40, 320))
    assert parameters["CONTROL"]["etot_conv_thr"] == pytest.approx(5 * 1e-4)
    assert parameters["ELECTRONS"]["conv_thr"] == pytest.approx(5 * 1e-7)
    assert set(inputs.base_relax.pw.pseudos) == {"Pb", "Ti", "O"}
    assert inputs.structure.get_pymatgen().get_space_group_info()[1] == 221
    assert inputs.structure.creator.process_label == "symmetrise_structure"


def test_stringency_and_cutoffs_by_hand(process: Callable[..., Any]) -> None:
    system = {"ecutwfc": 55, "ecutrho": 500}
    overrides = {"relax": {"base_relax": {"pw": {"parameters": {"SYSTEM": system}}}}, "symmetry_precision": 0}
    chain = process({"a": perovskite(shift=0.03)}, overrides={"cutoff_stringency": "normal", "symmetry_precision": 0})
    assert inputs_of(chain).base_relax.pw.parameters["SYSTEM"]["ecutwfc"] == pytest.approx(41)
    assert inputs_of(chain).structure.uuid == chain.inputs.structures["a"].uuid
    parameters = inputs_of(process({"a": perovskite()}, overrides=overrides)).base_relax.pw.parameters
    assert system.items() <= parameters["SYSTEM"].items()


def test_stringency_that_the_family_lacks(process: Callable[..., Any]) -> None:
    chain = process({"a": perovskite()}, overrides={"cutoff_stringency": "high"})
    assert chain.engine().stringency == "normal"


def go_on(chain: Any, ends: Callable[[dict[str, int]], list[str]] = list) -> Iterator[list[str]]:
    """Take the steps of a chain as the engine does, and yield what runs after each launch.

    :param ends: which of those that run end before the next step; default: all.
    """
    while chain.should_go_on():
        waiting = chain.launch() or {}
        yield list(chain.running)
        for key in ends(dict(chain.running)):
            chain.ctx[key] = waiting[key]
        chain.inspect()


def test_as_one_ends_the_next_begins(process: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """`a` is slow: before, `c` waited for it."""
    chain = process({name: perovskite() for name in "abcd"})
    submitted: list[str] = []

    def submit(_process: Any, **inputs: Any) -> orm.ProcessNode:
        submitted.append(inputs["metadata"]["call_link_label"])
        return called(None, RELAX, 401)

    monkeypatch.setattr(chain, "submit", submit)
    steps = list(go_on(chain, lambda running: [key for key in running if len(running) == 1 or key != "relaxation_a"]))
    named = ["".join(key.removeprefix("relaxation_") for key in keys) for keys in steps]
    assert named[:4] == ["ab", "ac", "ad", "a"]
    assert submitted == [f"relax_{name}" for name in "abcd"]


def test_results_of_good_and_bad(process: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """One is relaxed, one fails inside, one has an element that the family lacks: the first goes on."""
    chain = process({"bad": perovskite(), "good": perovskite(), "unknown": perovskite(elements="Ba Ti O")})
    nodes = {name: relaxation(chain, status, name) for name, status in (("good", 0), ("bad", 401))}
    give_outputs(nodes["good"], perovskite(a=3.9), -50.0)
    base = called(nodes["bad"], BASE, 410)
    called(base, PW, 410, "The electronic minimization cycle did not reach self-consistency.")
    submitted = iter([nodes["bad"], nodes["good"]])
    monkeypatch.setattr(chain, "submit", lambda *_, **__: next(submitted))
    chain.ctx.waiting = ["bad", "good", "unknown"]
    monkeypatch.setattr(chain, "energy_of", lambda *_: None)
    assert next(iter(list(go_on(chain)))) == ["relaxation_bad", "relaxation_good"]
    assert chain.results() is None
    results = chain.outputs["results"].get_dict()
    assert {name: entry["status"] for name, entry in results.items()} == {
        "good": "relaxed", "bad": "failed", "unknown": "failed",
    }  # fmt: skip
    good = results["good"]
    assert good["workchain_uuid"] == nodes["good"].uuid
    assert (good["energy_eV"], good["energy_per_atom_eV"], good["reason"]) == (-50.0, -10.0, None)
    assert good["volume_change_percent"] == pytest.approx(100 * ((3.9 / 4.0) ** 3 - 1))
    assert (good["a"], good["spacegroup_number"]) == (pytest.approx(3.9), 221)
    assert "did not reach self-consistency; lower ELECTRONS.mixing_beta" in results["bad"]["reason"]
    assert "Ba" in results["unknown"]["reason"]
    assert set(chain.outputs["relaxed"]) == {"good"}


@pytest.mark.parametrize(("statuses", "status"), [((501,), "failed"), ((501, 0), "relaxed"), ((0, 501), "failed")])
def test_final_scf_above_threshold_is_no_success(
    process: Callable[..., Any], statuses: tuple[int, ...], status: str
) -> None:
    """PwRelaxWorkChain ends with 0 all the same; what counts is its last iteration."""
    chain = process({"a": perovskite()})
    node = relaxation(chain, 0)
    for number in statuses:
        called(called(node, BASE, number), PW, number)
    give_outputs(node, perovskite(), -50.0)
    has_run(chain, node)
    exit_code = chain.results()
    entry = chain.outputs["results"]["a"]
    assert entry["status"] == status
    assert entry["exit_status"] == 0
    if status == "failed":
        assert exit_code.status == 422
        assert "raise ecutwfc and ecutrho" in entry["reason"]
        assert "raise ecutwfc and ecutrho" in exit_code.message


def test_reason_of_the_innermost_process() -> None:
    node = called(None, RELAX, 400)
    called(called(node, BASE, 0), PW, 0)
    failed = called(called(node, BASE, 501), PW, 501, "The thresholds are exceeded in the final SCF.")
    text = explain_failure(node)
    assert text.startswith(f"PwCalculation<{failed.pk}> ended with 501: The thresholds are exceeded in the final SCF; ")
    assert "raise ecutwfc" in text


def test_reason_of_an_exception_and_of_an_unknown_code() -> None:
    node = called(None, RELAX, 401)
    inner = called(called(node, BASE, 300), PW, None)
    assert f"PwCalculation<{inner.pk}> raised an exception" in explain_failure(node)
    other = called(None, RELAX, 999)
    assert "999: no message" in explain_failure(other)
