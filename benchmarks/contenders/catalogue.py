"""Who takes part, in the order of the table."""

from __future__ import annotations

from dataclasses import dataclass

BARE = "bare"
LOADS = "loads"
MATCHERS = "matchers"
FAUST = "faust"
WORKER = "worker"

SHIPPED = "shipped"
CORPUS = "corpus"
WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Contender:
    """One row of the table.

    Attributes:
        key: Short name, for ratios and the results file.
        title: Name in the table.
        kind: ``BARE`` and so on.
        rules: ``SHIPPED``; ``CORPUS``, those and the single-event rules of the large rule set;
            ``WHOLE``, those and its sequences; or "" for none.
        stream: Which of the streams it reads: ``long``, ``middle`` or ``short``, by its speed.
    """

    key: str
    title: str
    kind: str
    rules: str
    stream: str


CONTENDERS = (
    Contender("bare", "bare loop, does nothing", BARE, "", "long"),
    Contender("loads", "bare loop, orjson.loads", LOADS, "", "long"),
    Contender("worker", "streamproc worker, two shipped rules", WORKER, SHIPPED, "long"),
    Contender("worker-corpus", "streamproc worker, corpus", WORKER, CORPUS, "middle"),
    Contender("worker-whole", "streamproc worker, corpus + sequences", WORKER, WHOLE, "middle"),
    Contender("matchers", "bare loop, matchers, two rules", MATCHERS, SHIPPED, "middle"),
    Contender("matchers-corpus", "bare loop, matchers, corpus", MATCHERS, CORPUS, "short"),
    Contender("faust", "plain Faust agent, matchers, two rules", FAUST, SHIPPED, "short"),
)

# (name, of, against, target): what the project wants, medians of the ratio within a round.
RATIOS = (
    ("two rules / bare loop", "worker", "bare", 0.45),
    ("two rules / loop with orjson.loads", "worker", "loads", 3.0),
    ("corpus / loop with orjson.loads", "worker-corpus", "loads", 1.5),
    ("two rules / plain Faust agent", "worker", "faust", 12.0),
    ("corpus / two rules", "worker-corpus", "worker", 0.5),
    ("corpus + sequences / corpus", "worker-whole", "worker-corpus", 0.7),
    ("corpus / corpus without prefilter", "worker-corpus", "matchers-corpus", 10.0),
)
