"""The parts of a run, in order; each can be run alone (``--only KEY``)."""
