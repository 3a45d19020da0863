"""What is installed: one version, its types, and nothing that it does not need."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

LOADED = """
import sys
before = set(sys.modules)
import {module}
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
sys.stdout.write(" ".join(sorted(loaded - sys.stdlib_module_names)))
"""


def run_python(*words: str) -> str:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=30, check=True
    ).stdout


def test_the_version_is_the_projects_everywhere() -> None:
    assert importlib.metadata.version("tailmerge") == PROJECT["version"]
    assert run_python("-m", "tailmerge", "--version") == f"tailmerge {PROJECT['version']}\n"
    assert f"version {PROJECT['version']}" in (ROOT / "docs" / "changelog.md").read_text("utf-8")


def test_the_types_are_shipped() -> None:
    assert importlib.resources.files("tailmerge").joinpath("py.typed").is_file()


@pytest.mark.parametrize(
    ("module", "needs"), [("tailmerge", "tailmerge"), ("tailmerge.cli", "click tailmerge")]
)
def test_importing_loads_nothing_beyond_what_is_needed(module: str, needs: str) -> None:
    assert run_python("-c", LOADED.format(module=module)) == needs


def test_only_click_is_installed_with_it() -> None:
    assert [need.partition(">")[0] for need in PROJECT["dependencies"]] == ["click"]
