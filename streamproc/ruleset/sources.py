"""Which files hold rules, below the paths that a user names, and which versions they have.

A detection-rules checkout is known by its version lock. Of a checkout named as a whole only the
two rule folders are read: it holds other TOML files too.

Law of the file: nothing here is fatal. What cannot be read becomes an error for its path.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from streamproc.errors import RuleError
from streamproc.ruleset.breath import Breathe, go_on
from streamproc.ruleset.ruleset import Skipped

RULE_FOLDERS = ("rules", "rules_building_block")
VERSION_LOCK = Path("detection_rules") / "etc" / "version.lock.json"


class RuleFile(NamedTuple):
    """One file to be read; ``versions`` maps rule ids to versions, empty outside a checkout."""

    path: Path
    versions: Mapping[str, int]


def find_rule_files(
    paths: Sequence[Path],
    errors: list[RuleError],
    skipped: list[Skipped],
    breathe: Breathe = go_on,
) -> list[RuleFile]:
    """Return the rule files below ``paths``, each once, in the order of the paths and names."""
    found: dict[str, RuleFile] = {}
    locks: dict[Path, Mapping[str, int]] = {}
    for path in paths:
        try:
            versions = _versions_for(path, locks, errors)
            files = _files_below(path, errors, skipped)
        except OSError as error:
            errors.append(RuleError(str(path), f"cannot be read: {error.strerror or error}"))
            continue
        for file in files:
            found.setdefault(os.path.realpath(file), RuleFile(file, versions))
            breathe()
    return list(found.values())


def fingerprint(paths: Sequence[Path], breathe: Breathe = go_on) -> str:
    """Return a text that changes when what ``find_rule_files`` finds, or the files' content, does.

    Told from metadata alone: names, inodes, sizes and modification times of rule files and
    version locks, all behind symbolic links. So a ConfigMap's swap of its ``..data`` link shows
    too. Costs a look at each file, no reading. Text that stays the same means no change, unless
    somebody writes a file in place and gives it the old size and time.
    """
    errors: list[RuleError] = []
    found = hashlib.sha256()
    for path in paths:
        lock = None
        files: Iterable[Path] = ()
        try:
            lock = _lock_of(path)
            files = _files_below(path, errors, [])
        except OSError as error:
            errors.append(RuleError(str(path), str(error.strerror)))
        for file in (*files, *([lock] if lock else [])):
            found.update(f"{file}\0{_metadata(file)}\0".encode("utf-8", "surrogateescape"))
            breathe()
    for fault in errors:
        found.update(f"{fault}\0".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _metadata(file: Path) -> str:
    try:
        status = os.stat(file)
    except OSError as error:
        return str(error.strerror)
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"


def _files_below(path: Path, errors: list[RuleError], skipped: list[Skipped]) -> Iterable[Path]:
    if path.is_file():
        if path.name.endswith(".test.toml"):
            skipped.append(Skipped(str(path), "holds cases for a rule, not a rule"))
        elif path.suffix != ".toml":
            skipped.append(Skipped(str(path), "not a .toml file"))
        else:
            return [path]
        return []
    if not path.is_dir():
        reason = "neither a file nor a folder" if path.exists() else "no such file or folder"
        errors.append(RuleError(str(path), reason))
        return []
    folders = [path / name for name in RULE_FOLDERS if (path / name).is_dir()]
    is_checkout = (path / VERSION_LOCK).is_file() or len(folders) == len(RULE_FOLDERS)
    roots = folders if is_checkout and folders else [path]
    return [file for root in roots for file in _toml_files(root, errors)]


def _toml_files(root: Path, errors: list[RuleError]) -> list[Path]:
    def report(error: OSError) -> None:
        errors.append(RuleError(str(error.filename), f"cannot be read: {error.strerror}"))

    files: list[Path] = []
    for folder, subfolders, names in os.walk(root, onerror=report):
        # Hidden folders hold no rules: a mounted Kubernetes ConfigMap keeps a second copy in one.
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        files += [
            Path(folder, name)
            for name in sorted(names)
            if name.endswith(".toml")
            and not name.endswith(".test.toml")
            and not name.startswith(".")
        ]
    return files


def _versions_for(
    path: Path, locks: dict[Path, Mapping[str, int]], errors: list[RuleError]
) -> Mapping[str, int]:
    """Return the versions of the checkout that ``path`` belongs to, if it belongs to one."""
    lock = _lock_of(path)
    if lock is None:
        return {}
    if lock not in locks:
        locks[lock] = _read_lock(lock, errors)
    return locks[lock]


def _lock_of(path: Path) -> Path | None:
    """Return the version lock of the checkout that holds ``path`` as a rule, if one does."""
    place = path.resolve()
    for root in (place, *place.parents):
        lock = root / VERSION_LOCK
        if lock.is_file():
            inside = place.relative_to(root).parts
            return None if inside and inside[0] not in RULE_FOLDERS else lock
    return None


def _read_lock(lock: Path, errors: list[RuleError]) -> Mapping[str, int]:
    try:
        entries: Any = json.loads(lock.read_bytes())
        return {
            rule_id: entry["version"]
            for rule_id, entry in entries.items()
            if isinstance(entry.get("version"), int)
        }
    except (OSError, ValueError, AttributeError) as error:
        errors.append(RuleError(str(lock), f"the version lock cannot be read: {error}"))
        return {}
