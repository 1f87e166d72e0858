"""Laws of devices fitted to measurements, one kind of measurement a file."""
