"""Rule files to one immutable rule set."""
