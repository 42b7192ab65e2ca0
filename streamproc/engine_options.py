"""Settings to the engine's options: the one place where the worker and the replay agree.

Law of the file: names and units change here (seconds to milliseconds), values do not.
"""

from __future__ import annotations

from streamproc.config import Settings
from streamproc.engine.detector import DetectorOptions
from streamproc.engine.sequence_budget import SequenceLimits


def detector_options(settings: Settings) -> DetectorOptions:
    """Return what the settings say of the engine."""
    return DetectorOptions(
        record_bytes_max=settings.record_bytes_max,
        output_bytes_max=settings.output_bytes_max,
        dead_letter_bytes_max=settings.dead_letter_bytes_max,
        look_ahead_s=settings.look_ahead_s,
        default_context_requests=settings.default_context_requests,
        sequence_limits=SequenceLimits(
            lateness_ms=int(settings.lateness_s * 1000),
            # One bound for people to know: that of the worker.
            buffer_max=settings.sequence_waiting_max,
            waiting_max=settings.sequence_waiting_max,
            rule_keys_max=settings.sequence_rule_keys_max,
            keys_max=settings.sequence_keys_max,
        ),
    )


def span_default_ms(settings: Settings) -> int:
    """Return the span of sequence rules without ``maxspan``, milliseconds."""
    return int(settings.sequence_span_default_s * 1000)
