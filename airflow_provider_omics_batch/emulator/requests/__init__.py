"""What is asked of any request: whether it is valid, too often, or sent again; and how lists are answered."""
