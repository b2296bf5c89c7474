"""Clients: HTTP exchanges, and what stands on them."""
