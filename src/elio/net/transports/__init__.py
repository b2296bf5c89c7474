"""Streams over the transports of an event loop, where the reactor does not run."""
