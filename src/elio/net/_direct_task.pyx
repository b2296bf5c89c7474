"""A task that goes on where what it waits for arrives, for the handlers of connections.

To everybody it is a task of asyncio: `asyncio.current_task` and `asyncio.all_tasks` know it, it can be cancelled,
awaited, timed out and gathered, and its coroutine may await anything that a coroutine of asyncio may. Between it and a
:class:`elio.net.ready.Wakeup` there is no protocol of futures (four look-ups, three calls and two bound methods for a
message): the wakeup calls the task. "Extending" in Python's documentation of asyncio says what such a task owes to the
module.

Not here: a Python form. Without the compiled twins handlers run in ``asyncio.Task``, which is in C.
"""

import asyncio
import asyncio.tasks
import sys
from asyncio import CancelledError, InvalidStateError
from asyncio.base_tasks import _task_get_stack, _task_print_stack
from contextvars import copy_context

from elio.net.ready import running_task

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF

from elio.net.ready cimport Resumable, Wakeup

__all__ = ["DirectTask"]


cdef extern from "Python.h":
    int PyIter_Send(object coroutine, PyObject *value, PyObject **result) except -1
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    PyObject *Py_None


cdef enum:
    RETURNED = 0  # PYGEN_RETURN

cdef bint UNCANCEL_TAKES_BACK = sys.version_info >= (3, 13)  # what is not told yet, as asyncio's own do

cdef object _enter_task = asyncio.tasks._enter_task
cdef object _leave_task = asyncio.tasks._leave_task
cdef object _register_task = asyncio.tasks._register_task
cdef object _unregister_task = asyncio.tasks._unregister_task
cdef unsigned long long _count = 0


@cython.final
cdef class DirectTask(Resumable):
    def __init__(self, coro, *, loop, name=None, bint eager=False):
        self._coro = coro
        self._loop = loop
        self._name = None if name is None else str(name)
        self._context = copy_context()
        self._log_destroy_pending = True
        if eager and running_task(loop) is None:
            self._step(None)
        else:
            self._register()
            loop.call_soon(self.resume)

    def __del__(self):
        if not self._is_done and self._is_registered and self._log_destroy_pending:
            self._complain({"message": "Task was destroyed but it is pending!", "task": self})
        elif self._exception is not None and not self._is_retrieved:
            message = "Task exception was never retrieved"
            self._complain({"message": message, "exception": self._exception, "future": self})

    def __repr__(self):
        state = "pending" if not self._is_done else "cancelled" if self._is_cancelled else "finished"
        return f"<DirectTask {state} name={self.get_name()!r} coro={self._coro!r}>"

    # -- the task ------------------------------------------------------------------------------------------------------

    def get_loop(self):
        return self._loop

    def get_coro(self):
        return self._coro

    def get_context(self):
        return self._context

    def get_name(self):
        global _count
        if self._name is None:
            _count += 1
            self._name = f"DirectTask-{_count}"
        return self._name

    def set_name(self, value):
        self._name = str(value)

    def get_stack(self, *, limit=None):
        return _task_get_stack(self, limit)

    def print_stack(self, *, limit=None, file=None):
        _task_print_stack(self, limit, file)

    # Names that asyncio and anyio look at from outside; `_callbacks`, `_coro`, `_exception`, `_loop` and `_must_cancel`
    # are such, too.

    @property
    def _fut_waiter(self):
        return self._waiter

    @property
    def _cancel_message(self):
        return self._message

    def _make_cancelled_error(self):
        """The error that it ended with, for the first who asks: with it go the frames that it has passed through."""
        error, self._cancelled_error = self._cancelled_error, None
        return _cancelled_error(self._message) if error is None else error

    def cancel(self, msg=None):
        if self._is_done:
            self._is_retrieved = True
            return False
        self._cancels += 1
        if self._waiter is not None and self._waiter.cancel(msg=msg):
            return True
        self._must_cancel = True
        self._message = msg
        return True

    def cancelling(self):
        return self._cancels

    def uncancel(self):
        if self._cancels > 0:
            self._cancels -= 1
            if self._cancels == 0 and UNCANCEL_TAKES_BACK:
                self._must_cancel = False
        return self._cancels

    # -- the future ----------------------------------------------------------------------------------------------------

    def done(self):
        return bool(self._is_done)

    def cancelled(self):
        return bool(self._is_cancelled)

    def result(self):
        self._check_done()
        self._is_retrieved = True
        if self._is_cancelled:
            raise self._make_cancelled_error()
        if self._exception is not None:
            raise self._exception.with_traceback(self._traceback)
        return self._result

    def exception(self):
        self._check_done()
        self._is_retrieved = True
        if self._is_cancelled:
            raise self._make_cancelled_error()
        return self._exception

    def set_result(self, result):
        raise RuntimeError("Task does not support set_result operation")

    def set_exception(self, exception):
        raise RuntimeError("Task does not support set_exception operation")

    def add_done_callback(self, callback, *, context=None):
        if context is None:
            context = copy_context()
        if self._is_done:
            self._loop.call_soon(callback, self, context=context)
        elif self._callbacks is None:
            self._callbacks = [(callback, context)]
        else:
            self._callbacks.append((callback, context))

    def remove_done_callback(self, callback):
        if self._callbacks is None:
            return 0
        kept = [entry for entry in self._callbacks if entry[0] != callback]
        removed = len(self._callbacks) - len(kept)
        self._callbacks = kept
        return removed

    def __await__(self):
        if not self._is_done:
            self._asyncio_future_blocking = True
            yield self
        if not self._is_done:
            raise RuntimeError("await wasn't used with future")
        return self.result()

    __iter__ = __await__

    # -- running -------------------------------------------------------------------------------------------------------

    cpdef resume(self):
        """Go on after a wakeup, or for the first time."""
        cdef object error = None
        if self._is_done:
            return
        if type(self._waiter) is Wakeup and (<Wakeup> self._waiter)._cancelled is not None:
            error = _cancelled_error((<Wakeup> self._waiter)._cancelled[0])
        self._step(error)

    def _wake(self, future):
        """The callback of any other future that is waited for."""
        error = None
        try:
            future.result()
        except BaseException as failure:
            error = failure
        if not self._is_done:
            self._step(error)

    cdef int _step(self, error) except -1:
        """Run the coroutine to its next wait, and see to what follows."""
        if self._must_cancel:
            self._must_cancel = False
            if not isinstance(error, CancelledError):
                error = _cancelled_error(self._message)
        self._waiter = None
        try:
            yielded = self._run(error)
        except StopIteration as stop:
            self._return(stop.value)
        except CancelledError as cancelled:
            self._finish_cancelled(cancelled)
        except (KeyboardInterrupt, SystemExit) as failure:
            self._finish(failure)
            raise
        except BaseException as failure:
            self._finish(failure)
        else:
            if not self._is_done:
                self._wait_for(yielded)
        return 0

    cdef object _run(self, error):
        """Returns what the coroutine waits for; it may have returned instead."""
        cdef PyObject *result = NULL
        cdef int status
        _enter_task(self._loop, self)
        try:
            PyContext_Enter(self._context)
            try:
                if error is not None:
                    return self._coro.throw(error)
                status = PyIter_Send(self._coro, Py_None, &result)
            finally:
                PyContext_Exit(self._context)
        finally:
            _leave_task(self._loop, self)
        try:
            value = <object> result
        finally:
            Py_XDECREF(result)
        if status == RETURNED:
            self._return(value)
        return value

    cdef int _wait_for(self, yielded) except -1:
        cdef Wakeup wakeup
        if not self._is_registered:
            self._register()
        if type(yielded) is Wakeup:
            wakeup = <Wakeup> yielded
            if wakeup._loop is self._loop and wakeup._asyncio_future_blocking:
                wakeup._asyncio_future_blocking = False
                self._waiter = wakeup
                wakeup.park(self)
                return self._pass_on_cancellation()
        if yielded is None:  # a bare yield lets the loop turn once
            self._loop.call_soon(self.resume)
            return 0
        blocking = getattr(yielded, "_asyncio_future_blocking", None)
        problem = self._problem_with(yielded, blocking)
        if problem is not None:
            self._loop.call_soon(self._raise, RuntimeError(problem))
            return 0
        yielded._asyncio_future_blocking = False
        self._waiter = yielded
        yielded.add_done_callback(self._wake)
        return self._pass_on_cancellation()

    cdef object _problem_with(self, yielded, blocking):
        if blocking is None:
            return f"Task got bad yield: {yielded!r}"
        if yielded.get_loop() is not self._loop:
            return f"Task {self!r} got Future {yielded!r} attached to a different loop"
        if not blocking:
            return f"yield was used instead of yield from in task {self!r} with {yielded!r}"
        if yielded is self:
            return f"Task cannot await on itself: {self!r}"
        return None

    cdef int _pass_on_cancellation(self) except -1:
        if self._must_cancel and self._waiter.cancel(msg=self._message):
            self._must_cancel = False
        return 0

    def _raise(self, error):
        if not self._is_done:
            self._step(error)

    # -- the end -------------------------------------------------------------------------------------------------------

    cdef int _return(self, value) except -1:
        if self._must_cancel:  # cancelled right before its end
            self._must_cancel = False
            return self._finish_cancelled(_cancelled_error(self._message))
        self._result = value
        return self._finish(None)

    cdef int _finish_cancelled(self, error) except -1:
        self._is_cancelled = True
        self._message = error.args[0] if error.args else None
        if self._callbacks:  # if nobody waits, nothing keeps the frames in its traceback
            self._cancelled_error = error
        return self._finish(None)

    cdef int _finish(self, error) except -1:
        if error is not None:
            self._exception = error
            self._traceback = error.__traceback__
        self._is_retrieved = error is None
        self._is_done = True
        if self._is_registered:
            _unregister_task(self)
        callbacks, self._callbacks = self._callbacks, None
        for callback, context in callbacks or ():
            self._loop.call_soon(callback, self, context=context)
        return 0

    cdef int _register(self) except -1:
        self._is_registered = True
        _register_task(self)
        return 0

    cdef int _check_done(self) except -1:
        if not self._is_done:
            raise InvalidStateError("Result is not set.")
        return 0

    cdef int _complain(self, dict context) except -1:
        self._loop.call_exception_handler(context)
        return 0


cdef object _cancelled_error(message):
    return CancelledError() if message is None else CancelledError(message)
