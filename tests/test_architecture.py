"""What holds the code together: who imports whom, who may touch the system, how long is long."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tailmerge

PACKAGE = Path(tailmerge.__file__).parent
TREES = {path.stem: ast.parse(path.read_text("utf-8")) for path in PACKAGE.glob("*.py")}
LIST = (tailmerge.__doc__ or "").partition("below its own line:")[2]
ORDER = re.findall(r"^    ([a-z_]+) +\S", LIST, re.MULTILINE)
"""The modules from the top, as the package's docstring lists them."""

SOURCE = (PACKAGE / "__init__.py").read_text("utf-8")

MODULES = sorted(set(TREES) - {"__init__", "__main__"})

FILE_LINES = 400
FUNCTION_LINES = 60
"""Lines of a function without its docstring."""


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Every module that is imported at run time, and what of it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole way"
            yield from ((node.module or "", alias.name) for alias in node.names)
        else:
            yield from imports(node)


def own_imports(module: str) -> set[str]:
    found = set()
    for name, part in imports(TREES[module]):
        if name == "tailmerge":
            found.add(part)
        elif name.startswith("tailmerge."):
            found.add(name.split(".")[1])
    return found


def dotted(node: ast.AST) -> str:
    """`os.path.join` of the expression that says so; "" of any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        front = dotted(node.value)
        return f"{front}.{node.attr}" if front else ""
    return ""


def uses(module: str) -> set[str]:
    """Every dotted name that a module's code says."""
    return {dotted(node) for node in ast.walk(TREES[module])} - {""}


# who imports whom


def test_the_packages_docstring_lists_every_module_once() -> None:
    assert sorted(ORDER) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_below_its_own_line(module: str) -> None:
    below = ORDER[ORDER.index(module) + 1 :]
    assert own_imports(module) <= set(below)


def test_the_check_of_the_order_sees_imports() -> None:
    assert {"report", "voice", "merge"} <= own_imports("cli")
    assert "series" not in own_imports("registry")  # only for its types


@pytest.mark.parametrize("module", MODULES)
def test_no_module_uses_what_another_one_keeps_to_itself(module: str) -> None:
    private = [part for name, part in imports(TREES[module]) if name.startswith("tailmerge")]
    assert [part for part in private if part.startswith("_")] == []


def test_nothing_but_click_is_needed() -> None:
    found = {name.split(".")[0] for tree in TREES.values() for name, _ in imports(tree)}
    assert found - sys.stdlib_module_names == {"tailmerge", "click"}


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"cli", "options", "pages", "words"}))
def test_the_library_does_not_need_the_commands_packages(module: str) -> None:
    assert "click" not in {name for name, _ in imports(TREES[module])}
    assert own_imports(module).isdisjoint({"options", "pages"})


# what is public


def test_what_is_listed_is_what_there_is() -> None:
    modules = {*MODULES, "__main__"}
    typing = {"TYPE_CHECKING", "annotations"}
    public = {name for name in dir(tailmerge) if not name.startswith("_")} - modules - typing
    assert sorted(public) == list(tailmerge.__all__)
    assert [name for name in public if not hasattr(tailmerge, name)] == []


def test_the_types_of_public_names_come_from_where_they_are_imported_from() -> None:
    """A type checker reads the imports, the run the table."""
    [block] = [node for node in ast.parse(SOURCE).body if isinstance(node, ast.If)][:1]
    typed = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == vars(tailmerge)["_HOMES"]


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'merge_all'"):
        tailmerge.merge_all  # noqa: B018


def test_the_public_names_are_the_contracts() -> None:
    assert tailmerge.__all__ == [
        "NoNewData",
        "OutputError",
        "TailmergeError",
        "UsageProblem",
        "WriteThread",
        "readline",
        "run_fully_async",
        "tail_async",
    ]


def test_every_public_thing_says_what_it_is() -> None:
    assert [name for name in tailmerge.__all__ if not getattr(tailmerge, name).__doc__] == []


# who may do what

ONLY_CLI = re.compile(
    r"os\.environ.*|os\.getenv|signal(\..*)?|sys\.(?!byteorder).*|print|input|os\._exit|exit"
)
"""What only a program may do: the environment, signals, its streams, its end."""

SYSTEM_CALLS = {
    *("open", "os.open", "os.close", "os.read", "os.write", "os.pread", "os.pwrite", "os.preadv"),
    *("os.pwritev", "os.writev", "os.lseek", "os.sendfile", "os.copy_file_range", "os.dup"),
    *("os.stat", "os.lstat", "os.fstat", "os.access", "os.listdir", "os.scandir", "os.walk"),
    *("os.path.exists", "os.path.lexists", "os.path.isfile", "os.path.isdir", "os.path.islink"),
    *("os.path.getsize", "os.path.getmtime", "os.path.realpath", "os.path.abspath"),
    *("os.path.samefile", "os.readlink", "os.getcwd", "os.statvfs", "os.umask"),
    *("os.rename", "os.replace", "os.remove", "os.unlink", "os.link", "os.symlink", "os.mkdir"),
    *("os.makedirs", "os.rmdir", "os.truncate", "os.ftruncate", "os.fsync", "os.fdatasync"),
    *("os.chmod", "os.fchmod", "os.chown", "os.fchown", "os.utime", "os.mkfifo", "os.pipe"),
    *("os.kill", "os.pidfd_open", "os.posix_fallocate", "glob.glob", "glob.iglob"),
    *("select.select", "select.poll", "fcntl.flock", "fcntl.fcntl", "time.sleep"),
    *("tempfile.TemporaryFile", "tempfile.NamedTemporaryFile", "tempfile.mkstemp"),
    *("resource.getrlimit", "resource.setrlimit", "subprocess.run", "subprocess.Popen"),
    *("shutil.copyfile", "Path", "pathlib.Path", "socket.socket"),
}

ALLOWED = {
    "cli": {
        *("os.write", "os.kill", "resource.getrlimit", "resource.setrlimit"),
        # a message, the signal that it ends by, the limit of the process: a program's own
        *("os.path.abspath", "os.path.exists", "os.path.isfile"),
        # whether the output is of a kind that has a state, before there is any loop
        *("os.fstat", "os.open", "open"),
        # a closed standard stream's number is taken before anything else is opened
    },
    "discover": {"glob.glob", "os.path.realpath"},
    # patterns are the library's to expand; on a lane of its own
    "handles": {"os.dup"},
    # on the caller's thread, before its number can be given away; cannot block
    "stream": {"tempfile.TemporaryFile"},
    # long lines of a pipe
}
"""What is called past system.py, and why."""


OTHERWISE = {"turns": {"sys.getswitchinterval", "sys.setswitchinterval"}}
"""What of `sys` is neither the environment nor the end of the process."""


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"cli"}))
def test_only_the_command_reads_the_environment_or_ends_the_process(module: str) -> None:
    found = {name for name in uses(module) if ONLY_CLI.fullmatch(name)}
    assert found - OTHERWISE.get(module, set()) == set()


def test_the_check_of_the_command_sees_what_it_does() -> None:
    assert {"os._exit", "signal.SIGTERM", "sys.stdout.flush"} <= uses("cli")


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"system"}))
def test_system_calls_are_made_in_one_place(module: str) -> None:
    assert uses(module) & SYSTEM_CALLS == ALLOWED.get(module, set())


def test_the_check_of_system_calls_sees_them() -> None:
    assert {"os.open", "os.close", "os.write", "os.stat", "open"} <= uses("system") & SYSTEM_CALLS


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"system"}))
def test_a_system_is_made_only_where_none_was_given(module: str) -> None:
    """`system or System()`: a collaborator is passed in, or a test could not replace it."""
    made = [
        node
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call) and dotted(node.func) == "System"
    ]
    defaults = [
        node.values[-1]
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or)
    ]
    assert [node.lineno for node in made if node not in defaults] == []


# how long is long


@pytest.mark.parametrize("module", MODULES)
def test_a_file_is_one_concept(module: str) -> None:
    lines = (PACKAGE / f"{module}.py").read_text("utf-8").splitlines()
    assert len(lines) < FILE_LINES


def functions(module: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1


@pytest.mark.parametrize("module", MODULES)
def test_a_function_does_one_thing(module: str) -> None:
    assert [(name, lines) for name, lines in functions(module) if lines >= FUNCTION_LINES] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_begins_with_what_it_is(module: str) -> None:
    docstring = ast.get_docstring(TREES[module])
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":", "?"))


def test_nothing_is_evaluated() -> None:
    """Code that is put together at run time could not be checked here."""
    found = {module: uses(module) & {"eval", "exec", "__import__"} for module in MODULES}
    assert not any(found.values())
