"""Studies: many experiments, each carried out once, however often the work is interrupted."""
