"""The records of a TLS connection (RFC 8446 5): through the module `ssl` everywhere, past it where that can be done."""
