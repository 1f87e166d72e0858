"""What may be written in a file, and files to start from."""
