"""Every exception this package raises, and what it does to the worker.

StreamprocError
├── ConfigError      a setting is missing, unknown or out of range -> the command does not start
├── InputError       a file to read or write cannot be -> the command ends, what it read counts
├── RuleError        one rule file is wrong; carries path, line, column -> that rule is left out
└── DecodeError      one record is not an ECS event -> the record goes to dead letters

``streamproc.eql.EqlSyntaxError`` (a query is wrong; carries line, column, message) is defined
with the language, which knows nothing of rules or workers; the rule loader turns it into a
``RuleError``.
"""


class StreamprocError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(StreamprocError):
    """A setting is missing, unknown or out of range; the message names it and the way out."""


class InputError(StreamprocError):
    """A file to read or write is missing, damaged or out of reach; the message names it."""


class RuleError(StreamprocError):
    """One rule file is wrong.

    Attributes:
        path: The file, as the user named it.
        line: Line in the file, counted from 1; 0 when the whole file is meant.
        column: Column in the line, counted from 1; 0 when the whole line is meant.
        reason: What is wrong and what to do about it.
    """

    def __init__(self, path: str, reason: str, line: int = 0, column: int = 0) -> None:
        self.path = path
        self.line = line
        self.column = column
        self.reason = reason
        place = f"{path}:{line}:{column}" if line else path
        super().__init__(f"{place}: {reason}")


class DecodeError(StreamprocError):
    """One record is not an ECS event.

    Attributes:
        reason: A word from a bounded set, fit for a metric label: ``empty``, ``json``,
            ``not_object``, ``too_large``.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)
