"""Reports: what a run folder says, for people."""
