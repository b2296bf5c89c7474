"""Channels on Redis and Valkey."""
