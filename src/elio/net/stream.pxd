# The types of stream.py for its compiled twin.

cpdef str peer_name(stream)
cpdef str peer_host(stream)
cpdef lasting_peer(stream)
