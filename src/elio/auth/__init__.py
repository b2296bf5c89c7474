"""Who is at the other end: identities, what proves them, and how long they last."""
