"""What channels can stand on: one file an engine, each an :class:`elio.channels.backend.Backend`."""
