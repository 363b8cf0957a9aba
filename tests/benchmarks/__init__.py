"""What the package costs, beside what a user would do instead: ``make bench``."""
