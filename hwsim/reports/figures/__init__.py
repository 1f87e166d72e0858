"""Figures of a report, one per file. Each makes a `Drawing` from results, or None if there is nothing to draw."""
