"""The backend over HTTP, beside S3 and STS: with faults, a control of its own, and a file for its state."""
