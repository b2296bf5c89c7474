"""``Router``: what a program registers its handlers with.

A handler takes a :class:`elio.Request` and returns a :class:`elio.Response`; a WebSocket handler takes a
:class:`elio.WebSocket`, one of an event stream an :class:`elio.EventStream`. A middleware is a plain function around a
handler: ``async def middleware(request, handler)`` calls ``await handler(request)`` and returns its response or one of
its own. WebSocket and SSE routes pass through middleware too; what comes back then stands for the upgrade or the
stream.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ..channels.channels import Channels
from ..errors import ConfigurationError
from ..event_stream import EventStream
from ..limits import UNSET
from ..net.runtime import Departure
from ..request import Request
from ..routing import WEBSOCKET, Kind, RouteTable, join_prefix
from ..session import WebSocket
from ..websocket.deflate import DeflateOptions
from .channel_stream import ChannelFeed, ChannelName
from .context import ErrorHandler
from .cors import Handler, Middleware, cors
from .dispatch import Dispatcher, around, as_handler
from .entry.guard import Authenticate, guarded
from .process.readiness import Check, Readiness
from .static import static_files
from .upgrade import Streaming, StreamRoute, Upgrade, WebSocketRoute
from .watch.counters import Counters
from .watch.figures import Figures
from .watch.metrics import MetricsPage, Registry
from .watch.observers import EndObserver, Observers, StartObserver

__all__ = ["ErrorHandler", "Handler", "Middleware", "Router"]

AnyHandler = TypeVar("AnyHandler", bound=Callable[[Request], Any])
SocketHandler = TypeVar("SocketHandler", bound=Callable[[WebSocket], Awaitable[None]])
EventHandler = TypeVar("EventHandler", bound=Callable[[EventStream], Awaitable[None]])
AnyCheck = TypeVar("AnyCheck", bound=Check)
AuthenticateT = TypeVar("AuthenticateT", bound=Authenticate)
StartObserverT = TypeVar("StartObserverT", bound=StartObserver)
EndObserverT = TypeVar("EndObserverT", bound=EndObserver)
MiddlewareT = TypeVar("MiddlewareT", bound=Middleware)
ErrorHandlerT = TypeVar("ErrorHandlerT", bound=ErrorHandler)


class _Guarded(NamedTuple):
    """A handler with who asks for the user before it is called: None for nobody, UNSET for the router's function."""

    handler: Handler
    auth: Authenticate | None


class Router:
    """Routes, middleware and mounted routers of one program or of a part of it.

    Args:
        channels: those of the server: it starts and closes them, and asks them whether it is ready. Those of mounted
            routers do not count.

    Attributes:
        channels: the same.
    """

    def __init__(self, *, channels: Channels | None = None) -> None:
        self.channels = channels
        self._table: RouteTable[_Guarded] = RouteTable()
        self._authenticate: Authenticate | None = UNSET
        self._middleware: list[Middleware] = []
        self._mounted: list[tuple[str, Router]] = []
        self._observers = Observers()
        self._checks: dict[str, Check] = {} if channels is None else {"channels": lambda: channels.is_healthy}
        self._not_found: Handler | None = None
        self._on_error: ErrorHandler | None = None

    # -- HTTP ----------------------------------------------------------------------------------------------------------

    def route(
        self, pattern: str, methods: str | Iterable[str] = "GET", *, auth: Authenticate | None = UNSET
    ) -> Callable[[AnyHandler], AnyHandler]:
        """Register a handler for some methods: ``@router.route("/users/:id", ["GET", "PUT"])``.

        Args:
            pattern: see :mod:`elio.routing`.
            methods: one method or several.
            auth: who is asked for the user of this route, instead of what :meth:`authenticate` registered; None lets
                everybody in.

        Raises:
            ConfigurationError: the pattern cannot be used or is taken.
        """

        def register(handler: AnyHandler) -> AnyHandler:
            self._table.add(pattern, methods, _Guarded(as_handler(handler), auth))
            return handler

        return register

    def get(self, pattern: str, *, auth: Authenticate | None = UNSET) -> Callable[[AnyHandler], AnyHandler]:
        """Register a handler for GET, and for HEAD where there is no other."""
        return self.route(pattern, "GET", auth=auth)

    def post(self, pattern: str, *, auth: Authenticate | None = UNSET) -> Callable[[AnyHandler], AnyHandler]:
        """Register a handler for POST."""
        return self.route(pattern, "POST", auth=auth)

    def put(self, pattern: str, *, auth: Authenticate | None = UNSET) -> Callable[[AnyHandler], AnyHandler]:
        """Register a handler for PUT."""
        return self.route(pattern, "PUT", auth=auth)

    def patch(self, pattern: str, *, auth: Authenticate | None = UNSET) -> Callable[[AnyHandler], AnyHandler]:
        """Register a handler for PATCH."""
        return self.route(pattern, "PATCH", auth=auth)

    def delete(self, pattern: str, *, auth: Authenticate | None = UNSET) -> Callable[[AnyHandler], AnyHandler]:
        """Register a handler for DELETE."""
        return self.route(pattern, "DELETE", auth=auth)

    def options(self, pattern: str, *, auth: Authenticate | None = UNSET) -> Callable[[AnyHandler], AnyHandler]:
        """Register a handler for OPTIONS, instead of the answer that lists the methods."""
        return self.route(pattern, "OPTIONS", auth=auth)

    def head(self, pattern: str, *, auth: Authenticate | None = UNSET) -> Callable[[AnyHandler], AnyHandler]:
        """Register a handler for HEAD, instead of the one for GET."""
        return self.route(pattern, "HEAD", auth=auth)

    def static(
        self,
        prefix: str,
        directory: str | os.PathLike[str],
        *,
        index: str = "index.html",
        auth: Authenticate | None = UNSET,
    ) -> None:
        """Serve the files below a directory, and nothing beside it.

        Args:
            prefix: path below which the files appear, such as ``/assets``.
            directory: must exist.
            index: file that stands for a directory; "" for none.
            auth: see :meth:`route`.

        Raises:
            ConfigurationError: the directory does not exist, or the pattern is taken.
        """
        handler = static_files(directory, index=index)
        self._table.add(join_prefix(prefix, "/*"), "GET", _Guarded(handler, auth))

    def metrics(
        self,
        pattern: str,
        *,
        registry: Registry | None = None,
        figures: Figures | None = None,
        auth: Authenticate | None = UNSET,
    ) -> None:
        """Answer GET with the figures of the server, for Prometheus.

        Args:
            pattern: such as ``/metrics``.
            registry: further metrics for the same page, such as ``prometheus_client.REGISTRY``.
            figures: those of another server, :attr:`elio.Server.figures`, instead of those of the one that answers.
            auth: see :meth:`route`.

        Raises:
            ConfigurationError: ``prometheus-client`` is not installed, or the pattern cannot be used or is taken.
        """
        self._table.add(pattern, "GET", _Guarded(MetricsPage(registry, figures), auth))

    def on_connection_start(self, observer: StartObserverT) -> StartObserverT:
        """Call ``observer(request, protocol)`` when a WebSocket (``"websocket"``) or event stream (``"sse"``) is open.

        It is a plain function. Those of the router that the server was given count, not those of mounted ones.
        """
        self._observers.start.append(observer)
        return observer

    def on_connection_end(self, observer: EndObserverT) -> EndObserverT:
        """Call ``observer(request, protocol, cause, seconds)`` when it has ended; see :meth:`on_connection_start`."""
        self._observers.end.append(observer)
        return observer

    def readiness(self, pattern: str, *, timeout: float = 5.0) -> None:
        """Answer GET with 200 while the server is ready, and with 503 while it goes away or a check fails.

        Nobody is asked who it is.

        Args:
            pattern: such as ``/readyz``.
            timeout: seconds that all checks get, side by side.

        Raises:
            ConfigurationError: the pattern cannot be used or is taken.
        """
        self._table.add(pattern, "GET", _Guarded(Readiness(self._all_checks, timeout), None))

    def readiness_check(self, name: str) -> Callable[[AnyCheck], AnyCheck]:
        """Register a check of this name: ``@router.readiness_check("database")``.

        It is a function without arguments, async or not, which fails if it raises, returns ``False``, or takes too
        long. Checks of mounted routers count as well.
        """

        def register(check: AnyCheck) -> AnyCheck:
            self._checks[name] = check
            return check

        return register

    def _all_checks(self) -> dict[str, Check]:
        checks = {name: check for _, router in self._mounted for name, check in router._all_checks().items()}
        return checks | self._checks

    # -- real time -----------------------------------------------------------------------------------------------------

    def websocket(
        self,
        pattern: str,
        *,
        auth: Authenticate | None = UNSET,
        subprotocols: Sequence[str] = (),
        origins: Sequence[str] | None = None,
        compression: DeflateOptions | bool = True,
        max_message_size: int | None = UNSET,
        max_queue: int = UNSET,
        ping_interval: float | None = UNSET,
        ping_timeout: float | None = UNSET,
        close_timeout: float = UNSET,
        commit_delay: float | None = UNSET,
        write_limit: int = UNSET,
    ) -> Callable[[SocketHandler], SocketHandler]:
        """Register a WebSocket handler. A GET handler may share its path; the ``Upgrade`` header decides.

        Args:
            pattern: see :mod:`elio.routing`.
            auth: see :meth:`route`.
            subprotocols: those this route speaks; the first one the client names is agreed on.
            origins: origins that browsers may connect from, such as ``https://example.com``; ``"*"`` is any. The
                server's own origin only, by default.
            compression: permessage-deflate (RFC 7692): its options, True for the defaults, False for none.
            max_message_size: and what follows: this route's value of the bound of that name in :class:`elio.Limits`.
            max_queue: see there.
            ping_interval: see there.
            ping_timeout: see there.
            close_timeout: see there.
            commit_delay: see there.
            write_limit: see there.

        Raises:
            ConfigurationError: the pattern cannot be used or is taken.
        """
        bounds = {
            "max_message_size": max_message_size,
            "max_queue": max_queue,
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "close_timeout": close_timeout,
            "commit_delay": commit_delay,
            "write_limit": write_limit,
        }
        deflate = DeflateOptions() if compression is True else compression or None

        def register(handler: SocketHandler) -> SocketHandler:
            route = WebSocketRoute(
                handler=handler,
                subprotocols=tuple(subprotocols),
                origins=None if origins is None else tuple(origins),
                deflate=deflate,
                bounds=_given(bounds),
            )

            def upgrade(request: Request) -> Upgrade:
                return Upgrade(route)

            self._table.add(pattern, WEBSOCKET, _Guarded(upgrade, auth))
            return handler

        return register

    def sse(
        self,
        pattern: str,
        *,
        methods: str | Iterable[str] = "GET",
        channel: ChannelName | None = None,
        backlog: int = 0,
        policy: str = "block",
        auth: Authenticate | None = UNSET,
        keep_alive_interval: float | None = UNSET,
        commit_delay: float | None = UNSET,
        write_limit: int = UNSET,
    ) -> Callable[[EventHandler], EventHandler]:
        """Register the handler of an event stream. The body of a POST is read before it is called.

        With a ``channel`` the stream sends what is published there, for as long as its reader stays, and needs no
        handler: ``router.sse("/news/:topic", channel="news.{topic}")``. One that is registered all the same has its say
        before the stream begins; what is published meanwhile comes behind what it sends. Ids of events are cursors, so
        a reader that reconnects gets what it has missed.

        Args:
            pattern: see :mod:`elio.routing`.
            methods: one method or several.
            channel: the name of a channel or a pattern, with parameters of the route, or a function of the request.
            backlog: messages of the channel that a new reader gets first.
            policy: what happens when a reader takes too little; see :meth:`elio.Channels.subscribe`.
            auth: see :meth:`route`.
            keep_alive_interval: and what follows: this route's value of the bound of that name in
                :class:`elio.Limits`.
            commit_delay: see there; with a ``channel`` None by default: the stream opens once it has joined.
            write_limit: see there.

        Raises:
            ConfigurationError: the pattern cannot be used or is taken.
        """
        if channel is not None and commit_delay is UNSET:
            commit_delay = None
        bounds = {
            "keep_alive_interval": keep_alive_interval,
            "commit_delay": commit_delay,
            "write_limit": write_limit,
        }

        def add(handler: Callable[[EventStream], Awaitable[None]], *, stays: bool = False) -> None:
            route = StreamRoute(handler=handler, bounds=_given(bounds), stays=stays)

            def stream(request: Request) -> Streaming:
                return Streaming(route)

            self._table.add(pattern, methods, _Guarded(stream, auth))

        feed = None if channel is None else ChannelFeed(channel, policy, backlog)
        if feed is not None:
            add(feed, stays=True)

        def register(handler: EventHandler) -> EventHandler:
            if feed is None:
                add(handler)
            else:
                feed.before = handler
            return handler

        return register

    # -- around them ---------------------------------------------------------------------------------------------------

    def authenticate(self, function: AuthenticateT) -> AuthenticateT:
        """Ask this function who it is before any handler of this router is called, WebSockets and event streams too.

        ``authenticate(request)``, which may be asynchronous, returns the user, an :class:`elio.Identity`, None if
        nobody is known (401), or a response to answer with instead, such as a redirect. ``request.user`` is the user.
        It may raise :class:`elio.Unauthorized` and ``HTTPError(403)``. It is called behind all middleware. Routers that
        are mounted on this one ask it too, unless they have a function of their own.
        """
        self._authenticate = function
        return function

    def middleware(self, function: MiddlewareT) -> MiddlewareT:
        """Put a function around every handler of this router and of those mounted on it; the first one is outermost."""
        self._middleware.append(function)
        return function

    def cors(self, **options: Any) -> None:
        """Answer cross-origin requests of browsers; see :func:`elio.server.cors.cors` for the options."""
        self._middleware.append(cors(**options))

    def mount(self, prefix: str, router: Router) -> None:
        """Put another router's routes, with its middleware, under a prefix.

        Args:
            prefix: a pattern without a rest; its parameters reach the handlers too.
            router: what is registered with it later counts as well, until a server starts.
        """
        if router is self:
            raise ConfigurationError("a router cannot be mounted on itself")
        self._mounted.append((prefix, router))

    def not_found(self, handler: AnyHandler) -> AnyHandler:
        """Call this handler for paths without a route, instead of answering 404."""
        self._not_found = as_handler(handler)
        return handler

    def on_error(self, handler: ErrorHandlerT) -> ErrorHandlerT:
        """Call ``handler(request, exception)`` for what a handler raises, ``HTTPError`` included, to get a response."""
        self._on_error = handler
        return handler

    # -- for the server ------------------------------------------------------------------------------------------------

    @property
    def error_handler(self) -> ErrorHandler | None:
        """What :meth:`on_error` registered."""
        return self._on_error

    @property
    def observers(self) -> Observers:
        """What :meth:`on_connection_start` and :meth:`on_connection_end` registered."""
        return self._observers

    def build(self, departure: Departure | None = None, figures: Figures | None = None) -> Handler:
        """All of it as one handler, which raises ``HTTPError`` where there is no route.

        Args:
            departure: tells whether the server goes away.
            figures: those of the server.

        Raises:
            ConfigurationError: two mounted routers share a path.
        """
        table: RouteTable[Handler] = RouteTable()
        bind = partial(_bound, departure or Departure(), figures or Figures(Counters()))
        for pattern, methods, handler in self._collect("", bind, None):
            table.add(pattern, methods, handler)
        dispatcher = Dispatcher(table, self._not_found)
        for prefix, middleware in self._scopes("", ()):
            dispatcher.add_scope(prefix, middleware)
        return around(self._middleware, dispatcher)

    def _scopes(self, prefix: str, outer: tuple[Middleware, ...]) -> list[tuple[str, tuple[Middleware, ...]]]:
        """Prefixes of mounted routers with the middleware around what is answered for them."""
        found = []
        for below, router in self._mounted:
            path = join_prefix(prefix, below) if prefix else below
            inner = (*outer, *router._middleware)
            found.append((path, inner))
            found.extend(router._scopes(path, inner))
        return found

    def _collect(
        self, prefix: str, bind: Callable[[Handler], Handler], outer: Authenticate | None
    ) -> list[tuple[str, tuple[str, ...] | Kind, Handler]]:
        """Patterns, methods and handlers, guarded, those of mounted routers inside their middleware."""
        own = outer if self._authenticate is UNSET else self._authenticate
        found = []
        for route in self._table.routes():
            handler, auth = route.endpoint
            handler = bind(handler)
            auth = own if auth is UNSET else auth
            inside = handler if auth is None else guarded(handler, auth)
            found.append((join_prefix(prefix, route.pattern), route.methods, inside))
        for below, router in self._mounted:
            path = join_prefix(prefix, below) if prefix else below
            for pattern, methods, handler in router._collect(path, bind, own):
                found.append((pattern, methods, around(router._middleware, handler)))
        return found


def _bound(departure: Departure, figures: Figures, handler: Handler) -> Handler:
    """The handler for one server: some say things about it."""
    if isinstance(handler, Readiness):
        return handler.on(departure)
    return handler.on(figures) if isinstance(handler, MetricsPage) else handler


def _given(bounds: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in bounds.items() if value is not UNSET}
