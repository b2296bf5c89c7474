"""The process around a server: its orderly end, its readiness, its signals, and several of them on one port."""
