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


NOT_FOR_A_PLAIN_RUN = {
    *(
        "ssl",
        "_hashlib",
        "dataclasses",
        "bz2",
        "gzip",
        "lzma",
        "zipfile",
        "tempfile",
        "shutil",
        "random",
        "shlex",
        "glob",
        "fnmatch",
        "termios",
        "encodings.ascii",
    ),
    *("csv", "pathlib", "email", "importlib.metadata", "importlib.resources"),
    *("urllib.parse", "ipaddress", "xml", "http", "multiprocessing", "decimal", "pydoc"),
    *("click.testing", "click.shell_completion", "click._termui_impl"),
    *("tailmerge.timestamps", "tailmerge.recognise", "tailmerge.layout", "tailmerge.civil"),
    *("tailmerge.order", "tailmerge.ordered", "tailmerge.timekeeper", "tailmerge.label"),
    *("tailmerge.shape", "tailmerge.shaped", "tailmerge.records", "tailmerge.patterns"),
    *("tailmerge.reading", "tailmerge.powercut", "tailmerge.walk", "tailmerge.status"),
    *("tailmerge.pages",),
}
"""What costs a run from cron time that it does not need."""

PLAIN_RUN = """
import os, sys
import tailmerge.__main__
os._exit = sys.exit
sys.argv = ["tailmerge", "--once", *sys.argv[1:]]
try:
    tailmerge.__main__.main()
finally:
    sys.stdout.write(" ".join(sys.modules))
"""


def test_a_run_without_news_imports_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"one\n")
    words = [str(tmp_path / "a.log"), "-o", str(tmp_path / "merged")]
    run_python("-c", PLAIN_RUN, *words)
    loaded = set(run_python("-c", PLAIN_RUN, *words).split())
    assert {"asyncio", "click", "tailmerge.writer", "tailmerge.resume"} <= loaded
    assert sorted(loaded & NOT_FOR_A_PLAIN_RUN) == []


def test_what_the_command_goes_without_can_be_imported_later() -> None:
    words = "import tailmerge.__main__ as m; m._import_asyncio(); import ssl; print(ssl.__name__)"
    assert run_python("-c", words) == "ssl\n"


def test_only_click_is_installed_with_it() -> None:
    assert [need.partition(">")[0] for need in PROJECT["dependencies"]] == ["click"]
