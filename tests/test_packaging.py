"""The distribution: metadata for the registry, what is in the wheel, and what each half loads without the other."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = (".py", ".yaml", ".json", ".safetensors", ".md", ".h5", ".csv", ".gz", ".aiida")
LARGEST_WHEEL = 34_000_000  # 30 MB for all model sets, 4 for the references of the quick start, the rest code

BLOCK = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(name + " is not installed")
sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """Return the table `project` of pyproject.toml."""
    with open(ROOT / "pyproject.toml", "rb") as stream:
        table: dict[str, Any] = tomllib.load(stream)["project"]
    return table


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which the wheel was installed that is built of the source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)]
    done = subprocess.run(build, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("*.tar.gz")
    target = folder / "site-packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target",
               str(target), str(archive)]  # fmt: skip
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def run_blocked(blocked: tuple[str, ...], code: str, folder: Path, *arguments: str) -> str:
    """Run Python without some packages and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCK.format(blocked=blocked) + code, *arguments],
        capture_output=True, text=True, cwd=folder, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_setup_json_is_generated_from_pyproject() -> None:
    spec = importlib.util.spec_from_file_location("make_setup_json", ROOT / ".ci" / "make_setup_json.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "setup.json").read_text(encoding="utf-8") == module.render(), "run python .ci/make_setup_json.py"


def test_what_the_registry_asks_for(project: dict[str, Any]) -> None:
    content = json.loads((ROOT / "setup.json").read_text(encoding="utf-8"))
    assert "Framework :: AiiDA" in content["classifiers"]
    assert sum(c.startswith("Development Status ::") for c in content["classifiers"]) == 1
    assert any(r.startswith("aiida-core") and "~=2." in r for r in content["install_requires"])
    for group, entries in project["entry-points"].items():
        if group.startswith("aiida.") and group != "aiida.cmdline.data":
            assert all(name.startswith("icsg3d.") for name in entries), group


def test_version_is_one(project: dict[str, Any]) -> None:
    import aiida_icsg3d
    import icsg3d_models

    assert {aiida_icsg3d.__version__, icsg3d_models.__version__} == {project["version"]}
    assert f"\nversion: {project['version']}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_wheel_holds_what_is_needed(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST_WHEEL
    names = zipfile.ZipFile(wheel).namelist()
    data = [
        path.relative_to(ROOT).as_posix()
        for package in ("icsg3d_models", "aiida_icsg3d")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix in SHIPPED
    ]
    assert "aiida_icsg3d/workflows/protocols/validate.yaml" in data
    assert "aiida_icsg3d/dft/pseudos/lda_cutoffs.json" in data
    for network in ("vae", "unet", "prior", "cgcnn"):
        assert f"icsg3d_models/pretrained/perov5/{network}.safetensors" in data
    for network in ("vae", "unet"):
        assert f"icsg3d_models/pretrained/general/{network}.safetensors" in data
    assert set(data) <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "examples/", "benchmarks/"))]


def test_science_without_aiida(tmp_path: Path) -> None:
    """Every module loads and a stage runs where aiida is not installed."""
    (tmp_path / "crystals").mkdir()
    cif = "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n_cell_angle_alpha 90\n_cell_angle_beta 90\n"
    cif += "_cell_angle_gamma 90\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
    (tmp_path / "crystals" / "x.cif").write_text(cif + "Cs 0 0 0\nCl 0.5 0.5 0.5\n")
    (tmp_path / "settings.json").write_text(json.dumps({"source": "crystals"}))
    code = """
import importlib, pkgutil, icsg3d_models
for module in pkgutil.walk_packages(icsg3d_models.__path__, "icsg3d_models."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from icsg3d_models.cli import main
assert main(["prepare", "settings.json"]) == 0
assert not [name for name in sys.modules if name.split(".")[0] in ("aiida", "aiida_icsg3d")]
"""
    run_blocked(("aiida", "aiida_icsg3d", "aiida_pseudo", "aiida_quantumespresso"), code, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["status"] == "completed"


def test_orchestration_without_the_models_extra(tmp_path: Path, project: dict[str, Any]) -> None:
    """Every module and every entry point loads where torch and the rest of the extra are not installed."""
    targets = [target for group in project["entry-points"].values() for target in group.values()]
    targets += list(project["scripts"].values())
    code = """
import importlib, pkgutil, aiida_icsg3d
for target in sys.argv[1:]:
    module, _, name = target.partition(":")
    getattr(importlib.import_module(module), name)
for module in pkgutil.walk_packages(aiida_icsg3d.__path__, "aiida_icsg3d."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert "torch" not in sys.modules
"""
    run_blocked(("torch", "skimage", "cc3d", "safetensors", "smact", "ase"), code, tmp_path, *targets)


def test_torch_is_not_loaded_where_it_is_installed(tmp_path: Path, project: dict[str, Any]) -> None:
    modules = {target.partition(":")[0] for group in project["entry-points"].values() for target in group.values()}
    code = "import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    code += "assert 'torch' not in sys.modules\n"
    run_blocked((), code, tmp_path, *sorted(modules))


def test_what_is_installed_of_the_sdist_runs(installed: Path, tmp_path: Path, project: dict[str, Any]) -> None:
    """Not the checkout: its modules come from where they were installed, with data files, and both programs start."""
    names = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    for needed in ("workflows/protocols/validate.yaml", "report/templates/page.html.j2"):
        assert f"aiida_icsg3d/{needed}" in names
    for needed in ("pretrained/perov5/vae.safetensors", "stability/competing_phases.csv.gz"):
        assert f"icsg3d_models/{needed}" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]
    code = """
sys.path[:] = [sys.argv[1], *(path for path in sys.path if path != sys.argv[2])]
import aiida_icsg3d, icsg3d_models
assert aiida_icsg3d.__file__.startswith(sys.argv[1]), aiida_icsg3d.__file__
from importlib.metadata import entry_points, version
assert version("aiida-icsg3d") == sys.argv[3]
from icsg3d_models.cli import main
main(["sample", "--print-settings"])
from click.testing import CliRunner
from aiida_icsg3d.cli import cmd_root
for words in ([], ["generate"], ["data", "import"]):
    shown = CliRunner().invoke(cmd_root, [*words, "--help"])
    assert shown.exit_code == 0, shown.output
from aiida_icsg3d.workflows.protocols import load_protocol
print(load_protocol("validate", "fast")["engine"])
"""
    said = run_blocked((), code, tmp_path, str(installed), str(ROOT), project["version"])
    assert said.rstrip().endswith("quantum_espresso")


def test_the_source_distribution_is_whole(installed: Path) -> None:
    (archive,) = installed.parent.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    for needed in ("README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "mkdocs.yml", "docs/science.md",
                   "tests/test_packaging.py", "examples/quickstart.sh", "constraints.txt"):  # fmt: skip
        assert needed in names, needed
    assert not [name for name in names if name.startswith((".venv", "site/", ".ci/", ".aiida"))]
