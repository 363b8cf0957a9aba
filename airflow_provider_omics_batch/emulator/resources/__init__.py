"""What an account holds, and the operations on it; those on batches are in ``models``."""
