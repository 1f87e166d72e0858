"""The guide to files: their keys, the names they can use, and files to start from."""
