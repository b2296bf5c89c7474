# The types of encoder.py for its compiled twin. What comes from an Event may be of a subclass of str, so it has no type.

cimport cython


@cython.locals(id_line=str, type_line=str, retry_line=str)
cpdef bytes encode_event(event)

cpdef bytes encode_comment(text=*)

cdef bytes _encode(str text)
