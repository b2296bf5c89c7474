from .memory import MemoryRecords
from .records import Records

__all__ = ["direct"]

def direct(records: MemoryRecords) -> Records:
    """The same connection's records past the module `ssl`; those given where that cannot be done.

    Args:
        records: of a complete handshake, of which nothing is left to be taken. They are not to be used any more,
            unless they are what comes back.
    """
