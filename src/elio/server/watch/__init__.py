"""What a server sees of itself: counts, a loop that is blocked."""
