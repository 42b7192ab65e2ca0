"""How often a required text turns up in events that have nothing to do with the rule.

Law of the file: these are guesses about typical endpoint events. They steer which of several
necessary texts is looked up first and which ones are not worth looking for; a wrong guess
costs time, never a match.

The words below are the field names that an ECS process, file, network or registry event
carries, and constants that Windows, Linux and macOS hosts repeat all day.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

EVERY_EVENT: Final = 1.0
"""The share of a text or key that tells nothing: a requirement for it is dropped."""

NON_ASCII_SHARE: Final = 0.1
"""Share of the events with a character beyond ASCII in some value."""

_COMMON_KEYS: Final = """
@timestamp action address agent architecture args args_count as build bytes category city_name
client code code_signature command_line company cpu created creation_date data_stream
dataset description desktop_name destination device direction domain drive_type ecs
elastic elevation elevation_level elevation_type end_time endpoint entity_id
entry_leader entry_meta env event executable exists exit_code ext extension family feature file
file_version full geo group group_leader hash header_bytes host hostname id imphash ingested
integrity_level_name interactive ip is_from_media kernel kind level location log logon_id mac
major md5 message metadata minor mode module mtime name namespace network number offset
original_file_name os outcome owner parent path pe pid platform policy port process product
product_name protection provider real_group real_user region registry related
relative_file_creation_time relative_file_name_modify_time same_as_process saved_group
saved_user score sequence service session_info session_leader severity sha1 sha256
signature_status size source start state status subject_name supplemental_groups system tags
temp thread title token transport trusted tty type uptime user user_agent value variant version
vpid windows working_directory
"""

_SOME_KEYS: Final = frozenset({"container", "real"})
"""Keys of many events that still tell some apart: ``process.parent.Ext.real`` is rare itself, but
Linux events have a ``user.Ext.real``."""

_ARRAYS: Final = frozenset({"args", "category", "ip", "tags", "type"})
"""Fields that hold arrays in most events, by the last component of their paths."""

SHARE_UNDER_NAME: Final = 0.5
"""Share of the events with a value that have it under a field of a given name."""

_GUARDS: Final = r"""
windows|linux|macos|start|end|change|info|process|file|network|registry|library|creation|exec|
fork|executed|access|connection|event|endpoint|logs|metrics|allowed|success|failure|trusted|
c:\windows\system32\.exe|/usr/bin/|unknown|high|medium|low|system|root|default|none|limited|full|disabled|x86_64|amd64|arm64
"""
"""Constants that whole classes of events share: useful as a second condition only."""

_CLASSES: Final = {
    "process": 0.999,  # in a stream of process events
    "s-1-5-18": 0.9,
    **dict.fromkeys(("start", "windows"), 0.7),
    **dict.fromkeys(("file", "network", "end", "linux", "svchost.exe"), 0.4),
    **dict.fromkeys(("creation", "change", "deletion", "exec", "registry", "library"), 0.3),
    **dict.fromkeys(("macos", "dns", "fork", "executed", "connection_attempted"), 0.2),
}
"""Whole values that tell classes of events apart, with the share of the class."""

_ROUTINE: Final = r"""
svchost.exe|services.exe|cmd.exe|powershell.exe|conhost.exe|explorer.exe|rundll32.exe|
wmiprvse.exe|chrome.exe|msedge.exe|lsass.exe|wininit.exe|csrss.exe|winlogon.exe|smss.exe|
system|wevtutil.exe|
c:\windows\system32\svchost.exe -k netsvcs -p -s schedule|c:\windows\system32\services.exe|
c:\windows\explorer.exe|c:\windows\system32\cmd.exe|cmd.exe /c|
c:\windows\system32\windowspowershell\v1.0\powershell.exe|c:\windows\system32\conhost.exe 0x4|
c:\windows\system32\wbem\wmiprvse.exe|c:\windows\system32\rundll32.exe|c:\windows\syswow64|
c:\program files (x86)\google\chrome\application\chrome.exe|c:\program files\microsoft office|
c:\program files (x86)\microsoft\edge\application\msedge.exe|c:\users\public|c:\users\admin|
appdata\local\temp|appdata\roaming|c:\programdata\microsoft\windows defender|msmpeng.exe|
taskhostw.exe|backgroundtaskhost.exe|runtimebroker.exe|dllhost.exe|searchindexer.exe|
nt authority|local service|network service|s-1-5-18|s-1-5-21|microsoft windows|
microsoft corporation|operating system|microsoft windows publisher|google llc|.exe|.dll|.sys|
/usr/bin/|/usr/sbin/|/usr/lib/|/usr/lib/systemd/systemd|/usr/libexec/|/usr/share/|/bin/bash|
/bin/sh -c|/usr/local/bin/|/etc/|/var/lib/|/var/log/|/tmp/|/home/|/opt/|/proc/|/dev/|/run/|
bash|sh|dash|zsh|sshd|cron|crond|systemd|sudo|python3|python|perl|node|java|curl|grep|sed|awk|
cat|ls|ps|date|id|uname|whoami|hostname|apache2|nginx|docker|containerd|runc|/applications/|
/system/library/|/library/|launchd|xpcproxy|com.apple.|http|https|.com|.local|.json|.log|
tcp|udp|ipv4|ipv6|localhost|unset|production|endpoint.events.process|endpoint.events.file|
endpoint.events.network|logs-endpoint|elastic endpoint|elastic agent|elastic-agent
"""

_SWITCH: Final = re.compile("[-/][a-z0-9]")
"""An option of a command line, of one letter."""

_START: Final = "\x02"
_END: Final = "\x03"
_KEY_SHARE: Final = 0.02
_SOME_KEY_SHARE: Final = 0.3
_SMALL_SHARE: Final = 0.5
_NUMBER_SHARE: Final = 0.2
_GUARD_SHARE: Final = 0.9
_ROUTINE_SHARE: Final = 0.15
_SWITCH_SHARE: Final = 0.2
# Share of ~3 kB events that hold a given text of so many characters by chance, judged from
# how often pieces of that length repeat in endpoint events; an anchored side counts as one
# more character, since few values begin or end there.
_BY_LENGTH: Final = (1.0, 1.0, 0.6, 0.2, 0.05, 0.015, 0.005)
_LONG_SHARE: Final = 0.002


def bounded(text: str, at_start: bool, at_end: bool) -> str:
    """``text`` with marks where a value begins and ends, so that ``in`` respects the ends."""
    return f"{_START if at_start else ''}{text}{_END if at_end else ''}"


def _all_bounded(words: str) -> str:
    values = (word.strip("\n") for word in words.split("|"))
    return "".join(bounded(value, True, True) for value in values if value)


_KEYS: Final = frozenset(_COMMON_KEYS.split())
_KEY_TEXT: Final = _all_bounded("|".join(sorted(_KEYS | _SOME_KEYS)))
_GUARD_TEXT: Final = _all_bounded(_GUARDS)
_ROUTINE_TEXT: Final = _all_bounded(_ROUTINE)


def share_of_key(name: str) -> float:
    """Estimated share of events (0 to 1) with a field name that has the component ``name``.

    ``name`` is in lower case.
    """
    if name in _KEYS:
        return EVERY_EVENT
    return _SOME_KEY_SHARE if name in _SOME_KEYS else _KEY_SHARE


def share_of_constant(constant: str) -> float:
    """Estimated share of events (0 to 1) whose field of a given name may be ``constant``."""
    return _SMALL_SHARE if constant in ("false", "true", "0", "1") else _NUMBER_SHARE


def ends_common_key(text: str, at_start: bool) -> bool:
    """Whether a field name of most events ends in ``text``, or is it if ``at_start``."""
    return bounded(text, at_start, True) in _KEY_TEXT


def is_often_array(name: str) -> bool:
    """Whether fields with the last component ``name`` hold arrays in most events."""
    return name in _ARRAYS


@lru_cache(maxsize=65_536)
def share_of_text(text: str, at_start: bool, at_end: bool) -> float:
    """Estimated share of events (0 to 1) with ``text`` in a value, at its start and its end.

    ``text`` is in lower case. A text that ends a value is told from a key by what follows it
    in the record, so only texts open at their end collide with field names.
    """
    marked = bounded(text, at_start, at_end)
    if not at_end and marked in _KEY_TEXT:
        return EVERY_EVENT
    if at_start and at_end and text in _CLASSES:
        return _CLASSES[text]
    if at_start and at_end and _SWITCH.fullmatch(text):
        return _SWITCH_SHARE
    length = len(text) + at_start + at_end
    by_length = _BY_LENGTH[length] if length < len(_BY_LENGTH) else _LONG_SHARE
    if marked in _GUARD_TEXT:
        return max(_GUARD_SHARE, by_length)
    if marked in _ROUTINE_TEXT:
        return max(_ROUTINE_SHARE, by_length)
    return by_length
