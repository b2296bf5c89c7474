"""Connections as subscribers, and who is present."""
