"""The trials of a study, stored as they end, and the tables made from them."""
