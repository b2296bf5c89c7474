# The types of wire_headers.py for its compiled twin. Its class stays one of Python, as its base is.

cimport cython

from elio.http cimport octets


@cython.locals(lines=list)
cpdef list parse_fields(bytes block)
