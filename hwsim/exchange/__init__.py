"""Exchange: networks of other tools, in and out."""
