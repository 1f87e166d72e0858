"""The readers of records: what was done, how long it took, what it cost and what had to be remembered."""
