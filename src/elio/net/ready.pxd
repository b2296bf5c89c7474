# The types of ready.py for its compiled twin.

cdef class _Ready:
    pass


cdef class _Turn:
    cdef bint _done


cdef class _Yield:
    pass


cdef class Later:
    cdef object _inner
    cdef object _make
    cdef object _start(self)


cdef class Resumable:
    cpdef resume(self)


cdef class Wakeup


cdef class Steps:
    cdef object _source
    cdef Wakeup _wakeup
    cdef bint _iterating
    cdef step(self)
    cpdef close(self)


cdef class Wakeup:
    cdef public bint _asyncio_future_blocking
    cdef object _loop
    cdef object _callback
    cdef object _context
    cdef object _cancelled
    cdef Resumable _task
    cdef readonly bint is_done
    cdef public object value

    cpdef reset(self)
    cpdef park(self, Resumable task)
    cpdef result(self)
    cpdef wake(self)
    cpdef run(self)
    cpdef wake_soon(self)
    cdef _call_soon(self)
