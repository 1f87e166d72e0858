"""Results: what a run or a study found, as it stands in its folder; written and read here, and simulated nowhere."""
