"""What a user writes who has the amazon provider and not this package."""
