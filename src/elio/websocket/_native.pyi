"""The Python face of the C kernels: masking (RFC 6455 5.3) and the UTF-8 check (RFC 6455 8.1)."""

from typing import final

__all__ = ["MessageBuffer", "Utf8Validator", "apply_mask", "apply_mask_in_place"]

def apply_mask(data: bytes | bytearray | memoryview, key: bytes, offset: int = 0) -> bytes:
    """Mask or unmask a payload (RFC 6455 5.3); the two are the same.

    Args:
        data: The bytes to mask, in one piece (a contiguous buffer).
        key: The masking key, 4 bytes.
        offset: Where in the payload `data` starts, 0 or more.

    Raises:
        ValueError: The key has not 4 bytes.
    """

def apply_mask_in_place(data: bytearray | memoryview, key: bytes, offset: int = 0) -> None:
    """Mask or unmask a payload where it stands. Arguments and errors as in `apply_mask`.

    Raises:
        BufferError: `data` cannot be written to.
    """

@final
class Utf8Validator:
    """A check of UTF-8 that arrives in pieces (RFC 6455 8.1)."""

    def feed(self, data: bytes | bytearray | memoryview) -> bool:
        """Check the next bytes.

        Returns:
            False from the first byte on that cannot continue well-formed text (overlong forms, surrogates and anything
            above U+10FFFF included), and for every call after it.
        """

    @property
    def complete(self) -> bool:
        """Whether what was fed is well-formed and ends with a whole character: the text may end here."""

@final
class MessageBuffer:
    """A message while it is gathered; see `octets.MessageBufferPure`."""

    def __init__(self, is_text: bool) -> None: ...
    def write(self, data: bytes) -> bool:
        """Add bytes; False if text is not UTF-8 from there on."""

    def write_part(self, source: bytes, start: int, end: int, key: bytes, rest: int) -> bool:
        """Add what the source has between two positions, unmasked where there is a key; as `write`."""

    def finish(self) -> str | bytes | None:
        """The message; None if it is text that ends inside a character."""

def _masking_paths() -> list[str]:
    """The ways of masking of this processor and this build: `words` and what there is of `sse2`, `avx2`, `neon`."""

def _apply_mask_by(name: str, data: bytes, key: bytes, offset: int = 0) -> tuple[bytes, bool]:
    """Mask by one of `_masking_paths`; the second value says whether all bytes of the result are ASCII."""
