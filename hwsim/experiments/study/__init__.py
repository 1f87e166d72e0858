"""Studies: many experiments, each carried out once, wherever and however often the work is interrupted."""
