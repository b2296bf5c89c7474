"""Channels on NATS JetStream."""
