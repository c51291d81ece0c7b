"""The packages that are needed where runs are submitted."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator

from packaging.requirements import Requirement

from .finding import Finding, note, ok, wrong

DISTRIBUTION = "aiida-icsg3d"


def look_at_packages() -> Iterator[Finding]:
    """Yield one finding for each package that is missing or too old, or one for all of them."""
    wanted = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or []]
    bad = False
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = installed_version(requirement.name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            bad = True
            have = f"{version} is installed" if version else "not installed"
            yield wrong(f"package {requirement.name}", f"{have}, {requirement.specifier} is needed",
                        f"pip install '{requirement}'")  # fmt: skip
    shown = ", ".join(f"{name} {installed_version(name)}" for name in (DISTRIBUTION, "aiida-core",
                                                                       "aiida-quantumespresso"))  # fmt: skip
    if not bad:
        yield ok("packages", shown)
    if installed_version("matplotlib") is None:
        yield note("package matplotlib", "not installed: reports come without pictures",
                   "pip install 'aiida-icsg3d[report]'")  # fmt: skip


def installed_version(name: str) -> str | None:
    """Return the version of a package, None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
