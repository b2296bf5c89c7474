# The types of failures.py for its compiled twin.

cpdef respond(context, request)
