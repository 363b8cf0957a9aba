"""What a fresh interpreter does for one side of a benchmark."""
