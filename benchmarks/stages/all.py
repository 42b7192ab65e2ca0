"""All stages, in the order of the run: the rounds come last and take the time that is left."""

from __future__ import annotations

from benchmarks.stages import hostile, latency, rsigma, rule_count, throughput, workers
from benchmarks.stages.stage import Stage

STAGES = (
    Stage("rsigma", "one file, beside RSigma", (35, 7), rsigma.measure),
    Stage("workers", "two workers beside one", (55, 15), workers.measure),
    Stage("latency", "append to alert, by load", (80, 16), latency.measure),
    Stage("hostile", "large, full of candidates, one partition", (50, 22), hostile.measure),
    Stage("rules", "rate by number of rules", (65, 14), rule_count.measure),
    Stage("throughput", "contenders, in rounds", (260, 40), throughput.measure),
)
