"""A reader of DEFLATE (RFC 1951), as slow as it is plain, that tells how far back a stream refers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

Codes: TypeAlias = dict[tuple[int, int], int]
"""Length and code of a symbol, to the symbol."""

# RFC 1951 3.2.5 and 3.2.7.
_LENGTH_BITS: Final = (*[0] * 8, *[1] * 4, *[2] * 4, *[3] * 4, *[4] * 4, *[5] * 4, 0)
_DISTANCES: Final = (1, 2, *(1 + ((2 + half) << power) for power in range(14) for half in (0, 1)))
_ORDER: Final = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


def distances(data: bytes) -> set[int]:
    """How far back the matches of a stream reach; the stream must end with its last block."""
    return set(_Reader(data).distances())


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def bits(self, count: int) -> int:
        value = 0
        for index in range(count):
            value |= (self.data[self.position >> 3] >> (self.position & 7) & 1) << index
            self.position += 1
        return value

    def align(self) -> None:
        self.position = (self.position + 7) // 8 * 8

    def symbol(self, codes: Codes) -> int:
        code = length = 0
        while (length, code) not in codes or not length:
            code = code << 1 | self.bits(1)
            length += 1
        return codes[length, code]

    @staticmethod
    def codes(lengths: list[int]) -> Codes:
        codes, code = {}, 0
        for length in range(1, 16):
            for symbol, own in enumerate(lengths):
                if own == length:
                    codes[length, code] = symbol
                    code += 1
            code <<= 1
        return codes

    def distances(self) -> Iterator[int]:
        while self.position < len(self.data) * 8:
            final, kind = self.bits(1), self.bits(2)
            if kind == 0:
                self.align()
                size = self.bits(16)
                self.position += 16 + size * 8
            else:
                yield from self.block(*(self.fixed() if kind == 1 else self.dynamic()))
            if final:
                self.align()

    def fixed(self) -> tuple[Codes, Codes]:
        return self.codes([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), self.codes([5] * 30)

    def dynamic(self) -> tuple[Codes, Codes]:
        literals, all_distances, count = self.bits(5) + 257, self.bits(5) + 1, self.bits(4) + 4
        lengths = [0] * 19
        for index in range(count):
            lengths[_ORDER[index]] = self.bits(3)
        codes, lengths = self.codes(lengths), []
        while len(lengths) < literals + all_distances:
            symbol = self.symbol(codes)
            if symbol < 16:
                lengths.append(symbol)
            elif symbol == 16:
                lengths += [lengths[-1]] * (3 + self.bits(2))
            else:
                lengths += [0] * (3 + self.bits(3) if symbol == 17 else 11 + self.bits(7))
        return self.codes(lengths[:literals]), self.codes(lengths[literals:])

    def block(self, literals: Codes, far: Codes) -> Iterator[int]:
        while (symbol := self.symbol(literals)) != 256:
            if symbol > 256:
                self.bits(_LENGTH_BITS[symbol - 257])
                code = self.symbol(far)
                yield _DISTANCES[code] + self.bits(max(code // 2 - 1, 0))
