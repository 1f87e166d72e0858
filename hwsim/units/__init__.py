"""Units: one physical unit a file, with its options, what it does to values, and what it costs."""
