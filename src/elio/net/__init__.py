"""Bytes on asyncio: listening, TLS, and what every connection is above them."""
