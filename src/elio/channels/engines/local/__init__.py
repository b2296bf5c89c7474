"""Channels for the processes of one machine, without an engine."""
