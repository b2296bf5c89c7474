# The types of runtime.py for its compiled twin.

from elio.net.timer cimport CoarseTimer

cdef class Traffic:
    cdef public unsigned long long bytes_received
    cdef public unsigned long long bytes_sent
    cdef public unsigned long long messages_received
    cdef public unsigned long long messages_sent
    cdef public unsigned long long events_sent
    cdef readonly object round_trips
    cdef readonly object first_events


cdef class Runtime:
    cdef readonly object loop
    cdef readonly object limits
    cdef readonly CoarseTimer timer
    cdef readonly object departure
    cdef readonly Traffic traffic
    cdef readonly object channels
    cdef readonly unsigned long long turn
    cdef readonly double turn_time
    cdef object _batches
    cdef list _held
    cdef bint _scheduled

    cpdef unsigned long long begin_turn(self)
    cpdef flush_later(self, item)
