"""Who takes part in the rounds, in the order of the table, and the ratios that are wanted."""

from __future__ import annotations

from dataclasses import dataclass

BARE = "bare"
LOADS = "loads"
MATCHERS = "matchers"
FAUST = "faust"
QUIX = "quix"
WORKER = "worker"

SHIPPED = "shipped"
CORPUS = "corpus"
WHOLE = "whole"
UNCONCERNED = "unconcerned"
UNCONCERNED_RULES = 1_000  # the two shipped rules among them


@dataclass(frozen=True, slots=True)
class Contender:
    """One row of the table.

    Attributes:
        key: Short name, for ratios and the results file.
        title: Name in the table.
        kind: ``BARE`` and so on.
        rules: ``SHIPPED``; ``CORPUS``, those and the single-event rules of the large rule set;
            ``WHOLE``, those and its sequences; ``UNCONCERNED``, the shipped rules among a thousand
            that the traffic does not concern; or "" for none.
        stream: Which of the streams it reads: ``long``, ``middle`` or ``short``, by its speed.
    """

    key: str
    title: str
    kind: str
    rules: str
    stream: str


CONTENDERS = (
    Contender("bare", "bare loop, does nothing", BARE, "", "long"),
    Contender("loads", "bare loop, orjson.loads", LOADS, "", "middle"),
    Contender("worker", "streamproc worker, two shipped rules", WORKER, SHIPPED, "long"),
    Contender("worker-1000", "streamproc worker, 1,000 rules", WORKER, UNCONCERNED, "long"),
    Contender("worker-corpus", "streamproc worker, corpus", WORKER, CORPUS, "middle"),
    Contender("worker-whole", "streamproc worker, corpus + sequences", WORKER, WHOLE, "middle"),
    Contender("matchers-corpus", "bare loop, matchers, corpus", MATCHERS, CORPUS, "short"),
    Contender("faust-corpus", "plain Faust agent, matchers, corpus", FAUST, CORPUS, "short"),
    Contender("quix-corpus", "Quix Streams, matchers, corpus", QUIX, CORPUS, "short"),
)

# (name, of, against, target): what the project wants, medians of the ratio within a round.
RATIOS = (
    ("two rules / bare loop", "worker", "bare", 0.45),
    ("two rules / loop with orjson.loads", "worker", "loads", 3.0),
    ("corpus / loop with orjson.loads", "worker-corpus", "loads", 1.5),
    ("corpus / plain Faust agent", "worker-corpus", "faust-corpus", 12.0),
    ("corpus / two rules", "worker-corpus", "worker", 0.5),
    ("1,000 unconcerned rules / two rules", "worker-1000", "worker", 0.9),
    ("corpus / Quix Streams", "worker-corpus", "quix-corpus", 10.0),
    ("corpus / loop without prefilter", "worker-corpus", "matchers-corpus", 10.0),
    ("corpus + sequences / corpus", "worker-whole", "worker-corpus", 0.7),
)
