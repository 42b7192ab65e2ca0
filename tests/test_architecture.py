"""The shape of the code: sizes, docstrings, names, and who may import whom.

Each rule is a function from source text to complaints. The first half of the tests runs them on
the product; the second half shows, by examples, that each of them goes red.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
EVERYTHING = ("streamproc",)

# What each part may import of ours besides itself; a folder counts as one part, a module at the
# top as another. ``eql`` knows no rules, ``ruleset`` no engine, ``engine`` no Kafka.
ALLOWED_IMPORTS: dict[str, tuple[str, ...]] = {
    "errors": (),
    "model": (),
    "config": ("streamproc.errors",),
    "config_sources": ("streamproc.config", "streamproc.errors"),
    "config_tables": ("streamproc.config", "streamproc.config_sources"),
    "measured": (),
    "capacity": ("streamproc.errors", "streamproc.measured"),
    "ndjson": ("streamproc.errors",),
    "refusals": (),
    "topics": ("streamproc.config", "streamproc.errors", "streamproc.refusals"),
    "eql": (),
    "ruleset": ("streamproc.eql", "streamproc.errors", "streamproc.model"),
    "engine": (
        "streamproc.eql",
        "streamproc.errors",
        "streamproc.model",
        "streamproc.ops.counters",
        "streamproc.ruleset",
        "streamproc.__version__",
    ),
    "engine_options": ("streamproc.config", "streamproc.engine"),
    "ops": ("streamproc.errors", "streamproc.model"),
    "transport": (
        "streamproc.config",
        "streamproc.config_tables",
        "streamproc.engine",
        "streamproc.engine_options",
        "streamproc.eql",
        "streamproc.errors",
        "streamproc.model",
        "streamproc.ops",
        "streamproc.refusals",
        "streamproc.ruleset",
        "streamproc.topics",
        "streamproc.__version__",
    ),
    # On top: they put the parts together.
    "app": EVERYTHING,
    "cli": EVERYTHING,
    "demo": EVERYTHING,
    "__main__": EVERYTHING,
    "__init__": (),
}
FAUST_MODULES = ("faust", "mode")
FAUST_PART = "transport"

VAGUE_WORDS = frozenset({"data", "handler", "helper", "info", "manager", "util"})

# Put together here so that this file does not hold what it looks for. The product speaks of
# itself alone, and names neither the machine that it was made on nor a registry's host.
FORBIDDEN_TEXT = re.compile(
    "|".join(
        (
            "(?i:cla" + "ude)",
            "(?i:anth" + "ropic)",
            r"\bL" + r"LMs?\b",
            "(?i:agent ses" + "sion)",
            "(?i:suba" + "gent)",
            r"(?<![\w.~-])/wo" + "rk/",
            r"pypi\." + "org",
            r"files\.python" + "hosted",
            r"repo1?\." + "maven",
            r"registry\.np" + "mjs",
        )
    )
)

PRODUCT = sorted((ROOT / "streamproc").rglob("*.py"))


def layout_complaints(source: str) -> Iterator[str]:
    """A file says what it is for, holds something, and is short; so are its functions."""
    tree = ast.parse(source)
    if not ast.get_docstring(tree):
        yield "no docstring"
    length = len(source.splitlines())
    if length > FILE_LINES_MAX:
        yield f"{length} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{node.name} has {length} lines"


def emptiness_complaints(source: str) -> Iterator[str]:
    """A module holds more than its docstring: none is made ahead of need."""
    body = [
        node
        for node in ast.parse(source).body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    if not body:
        yield "holds nothing"


def name_complaints(module: str) -> Iterator[str]:
    """A module's name says what is in it."""
    for word in re.split(r"[._]", module):
        if word.lower() in VAGUE_WORDS or word.lower().removesuffix("s") in VAGUE_WORDS:
            yield f"'{word}' says nothing"


def import_complaints(part: str, source: str) -> Iterator[str]:
    """Imports are absolute, stay within what the part may know, and faust within transport."""
    if part not in ALLOWED_IMPORTS:
        yield f"'{part}' is not in ALLOWED_IMPORTS"
        return
    allowed = (*ALLOWED_IMPORTS[part], f"streamproc.{part}")
    for name in _imported(source):
        if name.startswith("."):
            yield f"relative import of {name}"
        elif _is_in(name, FAUST_MODULES) and part != FAUST_PART:
            yield f"imports {name} outside {FAUST_PART}"
        elif _is_in(name, ("streamproc",)) and not _is_in(name, allowed):
            yield f"imports {name}"


def text_complaints(text: str) -> Iterator[str]:
    """Committed text names no maker, no machine path and no registry."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := FORBIDDEN_TEXT.search(line):
            yield f"line {number}: '{found.group()}'"


def _imported(source: str) -> Iterator[str]:
    """Dotted names that are imported anywhere in the source, also inside functions.

    ``from streamproc import transport`` gives ``streamproc.transport``: whether the last part is
    a module or a name in one cannot be told and does not matter.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _is_in(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def _part(path: Path) -> str:
    return path.relative_to(ROOT / "streamproc").with_suffix("").parts[0]


def _committed_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


# --- The product keeps the rules


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_in_shape(path):
    """Docstring, sizes, name, imports."""
    source = path.read_text()
    complaints = [
        *layout_complaints(source),
        *import_complaints(_part(path), source),
        *name_complaints(path.stem),
        *(emptiness_complaints(source) if path.name != "__init__.py" else ()),
    ]

    assert complaints == []


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").rglob("*.py")), ids=lambda p: p.name)
def test_benchmark_is_in_shape(path):
    """Docstring and sizes, as in the product."""
    assert list(layout_complaints(path.read_text())) == []


def test_committed_text_speaks_of_the_product_alone():
    """No file names who made it, the machine it was made on, or a package registry's host."""
    complaints = []
    for path in _committed_files():
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # not text, or removed and not yet committed
        complaints += [f"{path.relative_to(ROOT)}: {found}" for found in text_complaints(text)]

    assert complaints == []


def test_rules_name_parts_that_exist():
    """An entry for a part that is gone would hide a misspelling."""
    parts = {_part(path) for path in PRODUCT}

    assert set(ALLOWED_IMPORTS) - parts == set()


# --- The rules go red


def _function(lines: int) -> str:
    return '"""Doc."""\ndef long():\n' + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("source", "complaints"),
    [
        ("x = 1\n", ["no docstring"]),
        ('"""Doc."""\n' + "x = 1\n" * 499, []),
        ('"""Doc."""\n' + "x = 1\n" * 500, ["501 lines"]),
        (_function(70), []),
        (_function(71), ["long has 71 lines"]),
        (_function(71).replace("def", "async def"), ["long has 71 lines"]),
    ],
)
def test_layout_rule_goes_red(source, complaints):
    assert list(layout_complaints(source)) == complaints


@pytest.mark.parametrize(
    ("source", "is_red"),
    [
        ('"""Doc."""\n', True),
        ('"""Doc."""\nfrom __future__ import annotations\n', True),
        ('"""Doc."""\nX = 1\n', False),
    ],
)
def test_emptiness_rule_goes_red(source, is_red):
    assert bool(list(emptiness_complaints(source))) is is_red


@pytest.mark.parametrize(
    ("name", "is_red"),
    [
        ("alert_helper", True),
        ("utils", True),
        ("manager", True),
        ("error_handlers", True),
        ("metadata", False),
        ("literals", False),
    ],
)
def test_name_rule_goes_red(name, is_red):
    assert bool(list(name_complaints(name))) is is_red


@pytest.mark.parametrize(
    ("part", "source", "complaints"),
    [
        ("eql", "from streamproc.engine.detector import Detector", 1),
        ("eql", "import streamproc.ruleset", 1),
        ("eql", "from streamproc import transport", 1),
        ("eql", "from streamproc.errors import RuleError", 1),
        ("eql", "from streamproc.eql.nodes import Query", 0),
        ("eql", "from .nodes import Query", 1),
        ("eql", "from . import nodes", 1),
        ("eql", "from streamproc.eqlx import nodes", 1),
        ("engine", "import faust", 1),
        ("engine", "def f():\n    from mode.utils import futures", 1),
        ("engine", "import faustus, model", 0),
        ("engine", "from streamproc.ops.metrics import serve_metrics", 1),
        ("engine", "from streamproc.ops.counters import Counters", 0),
        ("transport", "import faust", 0),
        ("transport", "from streamproc.cli import main", 1),
        ("cli", "from streamproc.transport.app import build_app", 0),
        ("cli", "import faust", 1),
        ("model", "from streamproc.errors import DecodeError", 1),
        ("brand_new", "import json", 1),
    ],
)
def test_import_rule_goes_red(part, source, complaints):
    assert len(list(import_complaints(part, source))) == complaints


@pytest.mark.parametrize(
    ("line", "is_red"),
    [
        ("written by Cla" + "ude", True),
        ("an L" + "LM said so", True),
        ("in an agent ses" + "sion", True),
        ("a suba" + "gent", True),
        ('open("/wo' + 'rk/main/x")', True),
        ("--index-url https://pypi." + "org/simple", True),
        ("https://files.python" + "hosted.org/x", True),
        ("https://repo.ma" + "ven.apache.org", True),
        ("https://repo1.ma" + "ven.org", True),
        ("https://registry.np" + "mjs.org", True),
        ("a Faust agent consumes", False),
        ("the sessions of an agent", False),
        ("C:\\Windows\\SysWOW64 and /usr/wo" + "rk/shop", False),
        ("Apache Kafka from Maven Central", False),
        ("SMALLMOUTH, WALLMOUNT", False),
    ],
)
def test_text_rule_goes_red(line, is_red):
    assert bool(list(text_complaints("fine\n" + line))) is is_red
