# The types of handshake.py for its compiled twin.

cpdef str check_request(method, http_version, headers)
cpdef str check_version_and_key(headers)
cdef _check_version(headers)
cdef str _check_key(headers)
cpdef list parse_subprotocols(headers)
cpdef str accept_key(str key)
cpdef accept_response(key, subprotocol=?, extensions=?)
