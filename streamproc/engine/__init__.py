"""The hot path: record bytes in, detections out. No I/O, no clock, no logging."""
