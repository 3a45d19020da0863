"""The documentation: its examples are run, and what it lists is what the code has.

A ```console block is run as it stands: `$ ` begins a command, `> ` goes on with it, all
other lines are what it says. The blocks of one `## ` section share a folder, in their order.
"""

from __future__ import annotations

import configparser
import errno
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

import tailmerge
from tailmerge import report, wording
from tailmerge.cli import command
from tailmerge.options import PARAMETERS, Option, find_groups
from tailmerge.pages import write_man_page
from tailmerge.report import Report, TailmergeError

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "guide.md"
REFERENCE = ROOT / "docs" / "reference.md"
DESIGN = ROOT / "docs" / "design.md"
RECIPES = ROOT / "docs" / "recipes.md"
LIBRARY = ROOT / "docs" / "library.md"
MAN_PAGE = ROOT / "docs" / "tailmerge.1"

EXAMPLE_SECONDS = 45

TEST_COMMAND = r"^python3 -m venv .*-m pytest$"
"""The README's line that passes all tests, as .ci/run looks for it."""


# examples


@dataclass(frozen=True)
class Section:
    """One `## ` section of a page, and the blocks of one language in it."""

    page: Path
    title: str
    blocks: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.stem}: {self.title}"


def find_sections(page: Path, language: str) -> Iterator[Section]:
    text = "\n" + page.read_text("utf-8")
    for part in text.split("\n## "):
        blocks = re.findall(rf"^```{language}\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)
        if blocks:
            yield Section(page, part.strip().partition("\n")[0], tuple(blocks))


def read_commands(block: str) -> Iterator[str]:
    """The block's commands as they stand there, each with its lines that begin with `> `."""
    lines: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            if lines:
                yield "\n".join(lines)
            lines = [line]
        elif line.startswith("> ") and lines:
            lines.append(line)
    yield "\n".join(lines)


def write_script(block: str) -> str:
    """A script that shows each command and then runs it: its output is the block again."""
    script = []
    for shown in read_commands(block):
        script.append(f"printf '%s\\n' {shlex.quote(shown)}")
        script.append("\n".join(line[2:] for line in shown.split("\n")))
    return "\n".join(script) + "\n"


def run(words: list[str], folder: Path, **more: str) -> str:
    """Run an example in its folder; what it says, messages among it."""
    tools = folder / ".tools"
    tools.mkdir(exist_ok=True)
    shim = tools / "tailmerge"
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tailmerge "$@"\n')
    shim.chmod(0o755)
    (tools / "ssh").write_text(SSH)
    (tools / "ssh").chmod(0o755)
    for host in ("web1", "web2"):
        if not (tools / host).exists():
            (tools / host).mkdir()
            (tools / host / "app.log").write_text(f"{host}: GET /\n")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TAILMERGE_", "PYTHON"))}
    done = subprocess.run(
        words,
        cwd=folder,
        env=kept | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C"} | more,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=EXAMPLE_SECONDS,
        check=False,
        text=True,
    )
    return done.stdout


CONSOLE = [s for page in (README, GUIDE, RECIPES) for s in find_sections(page, "console")]

SSH = """#!/bin/sh
cd "${0%/*}/$1" && shift && exec sh -c "$*"
"""
"""Stands in for ssh: a host is a folder beside it, in which the command is run."""


@pytest.mark.parametrize("section", CONSOLE, ids=str)
def test_an_example_does_what_the_page_says(section: Section, tmp_path: Path) -> None:
    if "logrotate -f" in "".join(section.blocks) and not find_system_program("logrotate"):
        pytest.skip("no logrotate here")
    for block in section.blocks:
        assert run(["bash", "-c", write_script(block)], tmp_path) == block


@pytest.mark.parametrize("section", list(find_sections(LIBRARY, "python")), ids=str)
def test_a_program_of_the_library_page_runs(section: Section, tmp_path: Path) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text(f"a line of {name}\n")
    for block in section.blocks:
        assert run([sys.executable, "-W", "error", "-c", block], tmp_path) == ""
        assert (tmp_path / "merged.log").read_text().count("\n") >= 2


def find_system_program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def test_the_program_of_the_recipes_runs(tmp_path: Path) -> None:
    [section] = find_sections(RECIPES, "python")
    (tmp_path / "out").mkdir()
    (tmp_path / "a.log").write_text("a line of a.log\n")
    for block in section.blocks:
        said = run([sys.executable, "-W", "error", "-c", block], tmp_path)
        assert said in ("", "c.log: appeared, followed from its first line\n")
        lines = (tmp_path / "out" / "merged.log").read_text().splitlines()
        assert sorted(lines) == ["a line of a.log", "our own log, too"]


def find_unit() -> str:
    [section] = find_sections(RECIPES, "ini")
    [unit] = section.blocks
    return unit


def test_the_unit_of_the_recipes_names_options_that_there_are() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(find_unit())
    words = shlex.split(parser["Service"]["ExecStart"])
    known = {word for option in options() for word in option.opts}
    assert {word for word in words if word.startswith("-")} <= known
    assert parser["Install"]["WantedBy"] == "multi-user.target"


@pytest.mark.skipif(not find_system_program("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_unit_of_the_recipes(tmp_path: Path) -> None:
    unit = tmp_path / "tailmerge.service"
    unit.write_text(find_unit().replace("/usr/local/bin/tailmerge", "/bin/cat"))
    words = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    ours = [line for line in done.stderr.splitlines() if "tailmerge.service" in line]
    assert ours == []


def test_the_readme_has_three_examples_and_each_page_its_own() -> None:
    assert len([s for s in CONSOLE if s.page == README for _ in s.blocks]) == 3
    assert len([s for s in CONSOLE if s.page == GUIDE]) >= 10
    assert len([s for s in CONSOLE if s.page == RECIPES]) >= 7


def test_the_set_up_commands_are_one_line_each() -> None:
    blocks = [b for s in find_sections(README, "sh") for b in s.blocks]
    assert [block.count("\n") for block in blocks] == [1, 1]
    assert len(re.findall(TEST_COMMAND, README.read_text("utf-8"), re.MULTILINE)) == 1


# options


def options() -> list[Option]:
    return [p for p in PARAMETERS if isinstance(p, Option)]


def test_the_reference_has_the_options_of_the_help_in_its_order() -> None:
    rows = re.findall(r"^\| `(-.*?)` \|.*\| (.*)\|$", REFERENCE.read_text("utf-8"), re.MULTILINE)
    rows = [(words.replace("\\|", "|"), default) for words, default in rows]
    defaults = [(words, default.replace("`", "").strip()) for words, default in rows]
    assert defaults == [(option.spelling, option.standard or "") for option in options()]


def test_the_reference_has_the_groups_of_the_help() -> None:
    rows = re.findall(r"^\| \*\*(.*?)\*\* \|", REFERENCE.read_text("utf-8"), re.MULTILINE)
    assert rows == [group for group, _ in find_groups(PARAMETERS)]


def test_the_help_spells_the_options_so() -> None:
    text = command.get_help(click.Context(command, info_name="tailmerge"))
    spelt = re.findall(r"^  (-.*?)(?:  .*)?$", text, re.MULTILINE)
    assert spelt == [option.spelling for option in options()]
    groups = re.findall(r"^(\w+):$", text, re.MULTILINE)
    assert groups[:-1] == [group for group, _ in find_groups(PARAMETERS)]


def test_the_man_page_is_the_one_of_these_options() -> None:
    """To write it anew, see docs/contributing.md."""
    assert MAN_PAGE.read_text("utf-8") == write_man_page()


def test_the_man_page_names_the_options_of_the_help() -> None:
    text = MAN_PAGE.read_text("utf-8").replace("\\-", "-")
    part = text.partition(".SH OPTIONS")[2].partition(".SH")[0]
    shown = [re.sub(r"\\f[BIR]", "", words) for words in re.findall(r"^\.TP\n(.*)$", part, re.M)]
    assert shown == [option.spelling for option in options()]


@pytest.mark.skipif(not shutil.which("groff"), reason="no groff here")
def test_the_man_page_is_well_formed() -> None:
    words = ["groff", "-man", "-Tascii", "-ww", "-z", str(MAN_PAGE)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_reference_has_every_variable_of_the_environment() -> None:
    named = set(re.findall(r"\bTAILMERGE_[A-Z_]+", REFERENCE.read_text("utf-8")))
    words = {max(option.opts, key=len).strip("-") for option in options()} - {"help", "version"}
    assert named == {"TAILMERGE_" + word.replace("-", "_").upper() for word in words}


# exit codes and messages


def test_the_reference_has_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \|", REFERENCE.read_text("utf-8"), re.MULTILINE)
    kinds = [k for k in vars(report).values() if inspect.isclass(k)]
    carried = {k.exit_code for k in kinds if issubclass(k, TailmergeError)}
    assert set(map(int, rows)) == {0, 1, 130, 141} | carried


OTHER = OSError("REASON")
MISSING = OSError(errno.ENOENT, "no such file")
FOLDER = OSError(errno.EISDIR, "is a directory")


def make_arguments(event: Callable[..., object], error: OSError) -> dict[str, object]:
    """An argument's own name in capitals for each word, 2 for each number, and this error."""
    kinds = inspect.signature(event, eval_str=True).parameters
    errors = {"NAME": error}
    samples: dict[object, object] = {int: 2, float: 2.0, OSError: error}
    samples[Mapping[str, OSError]] = errors
    return {
        name: samples.get(kind.annotation, name.upper())
        for name, kind in kinds.items()
        if name != "self"
    }


def find_messages() -> set[str]:
    """Every sentence that report.py can say."""
    said: list[str] = []
    for name, event in vars(Report).items():
        if name.startswith("_") or not inspect.isfunction(event):
            continue
        for once in (False, True):
            speaker = Report(said.append, once=once, verbose=True)
            if name == "input_works":
                speaker.input_missing("NAME")
            getattr(speaker, name)(**make_arguments(event, OTHER))
    for event in vars(report).values():
        if inspect.isfunction(event) and event.__module__ == report.__name__:
            said += find_errors(event)
    return set(said)


def find_errors(event: Callable[..., object]) -> Iterator[str]:
    """What ends a run, as this function words it; for some reasons in words of their own."""
    kind = inspect.signature(event, eval_str=True).return_annotation
    if not (inspect.isclass(kind) and issubclass(kind, TailmergeError)) or kind is TailmergeError:
        return
    general = str(event(**make_arguments(event, OTHER)))
    yield general
    for error in (MISSING, FOLDER):
        special = str(event(**make_arguments(event, error)))
        if special != general.replace("REASON", wording.explain(error)):
            yield special


def test_the_reference_has_every_message() -> None:
    text = REFERENCE.read_text("utf-8")
    messages = find_messages()
    assert len(messages) > 25
    assert sorted(message for message in messages if f"`{message}`" not in text) == []


def test_the_reference_has_the_reasons_in_our_own_words() -> None:
    text = REFERENCE.read_text("utf-8")
    assert [words for words in wording.NAMED.values() if f"`{words}`" not in text] == []


# modules and links


def test_the_design_page_lists_the_modules_from_the_top() -> None:
    listed = re.findall(r"^\| `(\w+)\.py` \|", DESIGN.read_text("utf-8"), re.MULTILINE)
    order = re.findall(r"^    ([a-z_]+) +\S", (tailmerge.__doc__ or ""), re.MULTILINE)
    assert listed == list(dict.fromkeys(name for name in order if name not in ("from", "await")))


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "docs").glob("*.md"))], ids=str)
def test_every_link_leads_to_a_page(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_limits_of_the_promise_are_said_in_the_same_words_everywhere() -> None:
    limits = re.compile(r"lines that no look could see \(.*?the line whole further on\.", re.DOTALL)
    said = {
        " ".join(text.split())
        for page in (README, REFERENCE, DESIGN)
        for text in limits.findall(page.read_text()) or [f"not in {page.name}"]
    }
    assert len(said) == 1, said


def test_the_library_page_names_every_argument_of_a_run() -> None:
    parameters = inspect.signature(tailmerge.run_fully_async).parameters
    ours = {"report", "sight", "system"}  # for the command and for tests
    page = LIBRARY.read_text()
    call = "run_fully_async(handles, interval, output_path, ...)"
    assert call in page
    missing = [n for n in parameters if n not in ours and n not in call and f"`{n}`" not in page]
    assert not missing
