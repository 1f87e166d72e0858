"""What a study keeps: its trials as they end, and the tables that are made of them."""
