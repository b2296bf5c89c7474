"""One small server for each peer, in the fastest settings its documentation names: `python -m benchmarks.servers.NAME
--port N --case CASE`. All answer the same paths:

- GET / : "Hello, World!" as text/plain;
- /ws : WebSocket echo;
- /receive : WebSockets that get, after the message "ready", every message that comes in on /publish;
- /events : event streams that get, after the event "ready", every message of /publish as the data of an event;
- /publish : the WebSocket of the publisher.
"""
