"""The streams of the reactor: reading, writing, flow control, the end."""

from collections.abc import Iterable
from typing import Any, final

from ._epoll_set import Pollable

__all__ = ["SocketStream"]

@final
class SocketStream(Pollable):
    """One connection, an :class:`elio.net.stream.Stream`; :meth:`elio.net.epoll.reactor.Reactor.adopt` makes them.

    It behaves as a transport of asyncio's selector loop does: what is received comes in ``data_received`` as bytes;
    ``eof_received`` that returns nothing closes; ``connection_lost`` comes once, never inside the call that closes;
    above the high-water mark ``pause_writing`` is called, at the low one ``resume_writing``. A receiver that raises is
    reported to the loop's exception handler, and its stream is cut. No task is current inside these calls, save for
    ``connection_made`` inside ``adopt`` and ``pause_writing`` inside ``write``.

    Two things differ. Any exception of a receiver is reported, an ``OSError`` too. And ``sockname`` and ``socket`` are
    known while the connection is open only.
    """

    remembers_peer: bool
    """Whether ``peername`` is known after the end, too: always."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send at once what the system takes, and keep the rest: a reference to it, if it is bytes, no copy.

        What is written once the stream is closed is dropped.

        Raises:
            RuntimeError: after :meth:`write_eof`.
            TypeError: the data is not bytes of any kind.
        """

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """As :meth:`write` of all of them joined, in one system call and without joining them."""

    def can_write_eof(self) -> bool:
        """Whether the sending half can be closed alone: always."""

    def write_eof(self) -> None:
        """Close the sending half once everything written has gone out."""

    def close(self) -> None:
        """Close once everything written has gone out; nothing is received from now on."""

    def abort(self) -> None:
        """Close now; what has not gone out is lost."""

    def is_closing(self) -> bool:
        """Whether the stream is closed or about to be."""

    def is_reading(self) -> bool:
        """Whether the receiver is told what arrives."""

    def pause_reading(self) -> None:
        """Stop telling the receiver what arrives; the end of input and a reset also wait."""

    def resume_reading(self) -> None:
        """Go on telling it, from the next turn on."""

    def lend(self) -> int:
        """Let the caller wait for input on the descriptor, and call :meth:`serve` then, instead of the loop.

        Whoever calls it, here or in another thread, must keep the loop from running meanwhile.

        Returns:
            The descriptor; -1 if the loop has to do it now, since reading is paused, bytes wait or the end has come.
        """

    def serve(self) -> None:
        """Read once, and tell the receiver: there may be input."""

    def take_back(self) -> None:
        """Let the loop wait for input again; nothing happens if it does."""

    def get_write_buffer_size(self) -> int:
        """Bytes written and not yet taken by the system."""

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high water mark, in bytes."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks.

        Args:
            high: bytes above which the receiver is told to pause writing; four times ``low``, or 64 KiB.
            low: bytes at which it is told to resume; a quarter of ``high``.

        Raises:
            ValueError: not ``high >= low >= 0``.
        """

    def get_protocol(self) -> Any:
        """The receiver, None once it has been told that the stream is closed."""

    def set_protocol(self, protocol: Any) -> None:
        """Tell another receiver from now on."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Facts about the connection.

        Args:
            name: ``peername``; while the connection is open also ``sockname`` and ``socket`` (an
                ``asyncio.trsock.TransportSocket``, made when it is asked for).
            default: what is returned for any other name.
        """
