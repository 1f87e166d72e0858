"""Results of runs and studies: written to folders and read back; nothing is simulated here."""
