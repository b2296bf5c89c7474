# The types of handshake.py for its compiled twin.

from elio.headers cimport Headers
from elio.websocket cimport digest

cpdef str check_request(method, http_version, Headers headers)
cpdef str check_version_and_key(Headers headers)
cdef _check_version(Headers headers)
cdef str _check_key(Headers headers)
cpdef list parse_subprotocols(Headers headers)
cpdef str accept_key(str key)
cpdef Headers accept_response(str key, subprotocol=?, extensions=?)
cpdef bint host_allowed(host, allowed) except -1
