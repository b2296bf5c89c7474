"""Named tuples without their constructor: ``made(Position, (epoch, offset))``.

``Position(epoch, offset)`` is a function in Python around this one. That is felt where it is called for each message.
"""

from __future__ import annotations

from typing import Final

made: Final = tuple.__new__
