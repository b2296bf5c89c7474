"""HTTP without I/O (RFC 9110, RFC 9112). Not here: sockets, time-outs, routing."""
