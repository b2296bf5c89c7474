# The types of routing.py for its compiled twin.

cdef list _split(str path)
cdef _find(node, list segments, Py_ssize_t index, key)
cdef _pick(table, key)
cdef _match(target, dict params)
cdef dict _params(target, list segments)
