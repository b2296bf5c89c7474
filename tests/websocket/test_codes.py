"""Opcodes and close codes."""

from __future__ import annotations

import pytest

from elio.websocket.codes import CloseCode, Opcode, may_be_sent


def test_opcodes_are_those_of_the_rfc() -> None:
    assert {opcode.name: opcode.value for opcode in Opcode} == {
        "CONTINUATION": 0,
        "TEXT": 1,
        "BINARY": 2,
        "CLOSE": 8,
        "PING": 9,
        "PONG": 10,
    }


def test_control_opcodes_have_the_high_bit() -> None:
    assert [opcode for opcode in Opcode if opcode.is_control] == [Opcode.CLOSE, Opcode.PING, Opcode.PONG]


def test_close_codes_are_those_of_the_registry() -> None:
    assert [code.value for code in CloseCode] == [1000, 1001, 1002, 1003, *range(1005, 1016), 3000]


def test_every_close_code_has_a_label() -> None:
    labels = [code.label for code in CloseCode]
    assert all(labels)
    assert len(set(labels)) == len(labels)
    assert CloseCode(1000).label == "normal closure"


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_code_may_be_sent(code: int) -> None:
    assert may_be_sent(code)


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_code_is_never_sent(code: int) -> None:
    assert not may_be_sent(code)


def test_exactly_2012_codes_may_be_sent() -> None:
    assert sum(may_be_sent(code) for code in range(65536)) == 4 + 8 + 2000
