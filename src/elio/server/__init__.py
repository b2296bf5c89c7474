"""The server: router, connections, upgrades."""
