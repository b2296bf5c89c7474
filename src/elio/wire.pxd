# The types of wire.py for its compiled twin.

cimport cython

from elio.net.outlet cimport Outlet
from elio.net.ready cimport Steps, Wakeup
from elio.net.timer cimport CoarseTimer
from elio.websocket.connection cimport Connection

cdef int _BURSTS
cdef double _NEVER
cdef object _OPEN
cdef object _SERVER


cdef class Wire(Outlet)



cdef class Receive(Steps):
    @cython.locals(wire=Wire)
    cdef step(self)
    @cython.locals(wire=Wire)
    cpdef close(self)


cdef class Wire(Outlet):
    cdef public Connection _connection
    cdef public object _queue
    cdef public Wakeup _waiter
    cdef public Wakeup _spare
    cdef public object _closed_waiters
    cdef public object _pings
    cdef public object _probe
    cdef public object _error
    cdef public object _on_lost
    cdef public object latency
    cdef public bint _begun_closing
    cdef public bint _continuing
    cdef public bint _discarding
    cdef public bint _ended
    cdef public bint _heard
    cdef public bint _reading_paused
    cdef public bint _resumes
    cdef public bint _told
    cdef public long long _bucket
    cdef public double _deadline
    cdef public double _ping_due
    cdef public double _ping_sent
    cdef public double _probe_at

    cpdef bint _time_out_opening(self) except -1
    cdef _take(self, queue)
    @cython.locals(receive=Receive)
    cdef Receive _begin(self, bint iterating)
    cdef _next(self, bint iterating)
    cdef Wakeup _wait(self)
    cdef _abandon(self, Wakeup wakeup)
    cpdef _begin_receiving(self)
    cpdef _put_back(self, message)
    cdef _deliver(self, message)
    cdef bint _is_full(self) except -1
    cpdef _end(self)
    cpdef _set_deadline(self, double seconds)
    cpdef data_received(self, bytes data)
    cdef _process(self, bytes data)
    cdef _continue(self)
    cdef _handle(self, list events)
    cdef _after_input(self)
    cdef _end_of_input(self, error)
    cdef _closed_by_peer(self, code, reason)
    cdef _finish(self)
    cdef _linger(self)
    cpdef _update_reading(self)
    cpdef connection_lost(self, exc)
    cpdef _start_pings(self, double now)
    @cython.locals(due=double, timer=CoarseTimer)
    cpdef _schedule(self)
    cpdef check_time(self, double now)
    cdef _keep_alive(self, double now)
    cdef _pong_received(self, payload)
    cdef double _sent_at(self, payload) except -1.0
