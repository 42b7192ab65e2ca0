"""The watch: what counts as a change of rule files, and when it is at rest."""

from __future__ import annotations

import os
import shutil

import pytest

from streamproc.ruleset.sources import VERSION_LOCK, fingerprint
from streamproc.ruleset.watch import RuleWatch


@pytest.fixture
def folder(tmp_path):
    """A folder with two rule files; the watch looks at metadata alone, so any text will do."""
    folder = tmp_path / "rules"
    (folder / "linux").mkdir(parents=True)
    (folder / "a.toml").write_text("a = 1")
    (folder / "linux" / "b.toml").write_text("b = 1")
    return folder


@pytest.fixture
def watch(folder):
    return RuleWatch([folder], fingerprint([folder]))


def add(folder):
    (folder / "c.toml").write_text("c = 1")


def grow(folder):
    (folder / "a.toml").write_text("a = 12")


def rewrite(folder):
    """As long as before: its time tells."""
    (folder / "a.toml").write_text("a = 2")
    os.utime(folder / "a.toml", ns=(1, 1))


def replace_keeping_time(folder):
    """As rsync does: same size, same time, another file."""
    old = (folder / "a.toml").stat()
    (folder / "a.new").write_text("a = 2")
    os.utime(folder / "a.new", ns=(old.st_atime_ns, old.st_mtime_ns))
    (folder / "a.new").rename(folder / "a.toml")


def remove(folder):
    (folder / "linux" / "b.toml").unlink()


def rename(folder):
    (folder / "a.toml").rename(folder / "z.toml")


def vanish(folder):
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "change", [add, grow, rewrite, replace_keeping_time, remove, rename, vanish]
)
def test_change_counts_when_a_second_look_finds_the_same(folder, watch, change):
    """The first look only notices; the second finds it at rest."""
    assert not watch.look()
    change(folder)
    assert not watch.look()
    assert not watch.is_known
    assert watch.look()


def test_file_that_is_being_written_is_left_alone(folder, watch):
    """As long as it grows between two looks, it is not read."""
    for size in range(1, 6):
        (folder / "a.toml").write_text("#" * 100 * size)
        assert not watch.look()
    assert watch.look()


def test_what_was_tried_is_not_tried_again_before_it_changes(folder, watch):
    """A refused set is not loaded every few seconds."""
    grow(folder)
    watch.look()
    assert watch.look()
    watch.know(fingerprint([folder]))
    assert not watch.look()
    assert watch.is_known
    add(folder)
    watch.look()
    assert watch.look()


def test_return_to_what_is_loaded_is_no_change(folder, watch):
    """Somebody moved a file away and back."""
    (folder / "a.toml").rename(folder / "a.bak")
    assert not watch.look()
    (folder / "a.bak").rename(folder / "a.toml")
    assert not watch.look()
    assert not watch.look()
    assert watch.is_known


def test_other_files_are_no_change(folder, watch):
    """Notes, cases for rules and hidden folders are not read, so they do not count."""
    (folder / "README.md").write_text("notes")
    (folder / "a.test.toml").write_text("cases")
    (folder / ".git").mkdir()
    (folder / ".git" / "c.toml").write_text("c = 1")
    assert not watch.look()
    assert not watch.look()


def test_swap_of_a_config_map_is_a_change(tmp_path):
    """Kubernetes writes a new hidden folder and turns one link; each file is a link through it."""
    mount = tmp_path / "mount"
    mount.mkdir()

    def write(name):
        (mount / name).mkdir()
        (mount / name / "a.toml").write_text("a = 1")
        os.utime(mount / name / "a.toml", ns=(1, 1))  # not even the time has to differ
        (mount / "..data_tmp").symlink_to(name)
        (mount / "..data_tmp").rename(mount / "..data")

    write("..2026_01")
    (mount / "a.toml").symlink_to("..data/a.toml")
    watch = RuleWatch([mount], fingerprint([mount]))
    assert not watch.look()
    write("..2026_02")
    watch.look()
    assert watch.look()
    watch.know(fingerprint([mount]))
    shutil.rmtree(mount / "..2026_01")
    assert not watch.look()
    assert watch.is_known


def test_link_that_points_nowhere_for_a_moment_is_no_error(tmp_path):
    """What cannot be looked at is a state like any other."""
    (tmp_path / "a.toml").symlink_to("gone")
    state = fingerprint([tmp_path, tmp_path / "absent"])
    assert state == fingerprint([tmp_path, tmp_path / "absent"])
    (tmp_path / "gone").write_text("a = 1")
    assert state != fingerprint([tmp_path, tmp_path / "absent"])


def test_version_lock_belongs_to_the_rules_of_a_checkout(tmp_path):
    """Versions of rules stand in it, so its change is one of theirs."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.toml").write_text("a = 1")
    lock = tmp_path / VERSION_LOCK
    lock.parent.mkdir(parents=True)
    lock.write_text("{}")
    paths = [tmp_path / "rules"]
    before = fingerprint(paths)
    lock.write_text('{"a": {"version": 2}}')
    assert fingerprint(paths) != before


def test_state_of_the_files_can_be_asked_for(folder, watch):
    """Whoever has read them asks whether they changed meanwhile."""
    state = fingerprint([folder])
    assert watch.is_still(state)
    grow(folder)
    assert not watch.is_still(state)
