"""What a task of our own keeps."""

from elio.net.ready cimport Resumable


cdef class DirectTask(Resumable):
    cdef object __weakref__
    cdef public bint _asyncio_future_blocking
    cdef public bint _log_destroy_pending
    cdef readonly bint _must_cancel
    cdef readonly object _coro
    cdef readonly object _exception
    cdef readonly object _loop
    cdef readonly list _callbacks
    cdef object _context
    cdef object _name
    cdef object _message
    cdef object _result
    cdef object _waiter
    cdef object _traceback
    cdef object _cancelled_error
    cdef int _cancels
    cdef bint _is_done
    cdef bint _is_cancelled
    cdef bint _is_registered
    cdef bint _is_retrieved

    cpdef resume(self)
    cdef int _step(self, error) except -1
    cdef object _run(self, error)
    cdef int _wait_for(self, yielded) except -1
    cdef object _problem_with(self, yielded, blocking)
    cdef int _pass_on_cancellation(self) except -1
    cdef int _return(self, value) except -1
    cdef int _finish_cancelled(self, error) except -1
    cdef int _finish(self, error) except -1
    cdef int _register(self) except -1
    cdef int _check_done(self) except -1
    cdef int _complain(self, dict context) except -1
