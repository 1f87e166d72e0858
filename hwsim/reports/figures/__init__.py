"""Figures of a report, one a file. Each takes what a run says and gives a `Drawing`, or None if that is too little."""
