"""Channels: publish once, reach everyone, lose nothing in silence. Nothing here knows of HTTP."""
