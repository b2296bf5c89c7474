"""The Linux fast path: an epoll set of our own inside any asyncio loop, its streams, and listening on it."""
