"""From the engine to subscribers: the hub and what it is made of."""
