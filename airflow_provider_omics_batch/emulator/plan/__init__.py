"""What becomes of runs, and when: by chance, by rule, and by the places that there are. Knows no requests."""
