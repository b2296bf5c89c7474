"""What runs inside Redis: names of keys, and the scripts that read and change them in one step.

Every channel lies in a bucket, all keys of which have one hash tag: there is one bucket on a single server and there
are many in a cluster, where each is on one node. The notices of who is present on a channel lie in the bucket of that
channel. With ``B`` for ``PREFIX:{NUMBER}`` of the bucket:

============  ==========  ========================================================================================
``B:e``       hash        of the bucket: ``e`` epoch, ``l`` the life of the server that it belongs to, ``n`` how many
                          channels were born, ``f`` the floor: where the offsets of those begin that come now
``B:o:NAME``  hash        of a channel: ``o`` its newest offset, ``b`` the offset that it began behind
``B:h:NAME``  stream      its history; entries have the ID ``OFFSET-0``, ``d`` payload, ``n`` who published it
``B:k:NAME``  string      behind the name a colon and an idempotency key: ``EPOCH:OFFSET`` of what was published with it
``B:i``       sorted set  the channels by the number of their birth; in ``B:d`` by when to see if they can be forgotten
``B:x:NAME``  sorted set  the leases of a channel by their ends, in ms; ``B:p:NAME`` is the hash with their notices of
                          leaving, ``B:w:NAME`` the one with the number of leases of each member
``B:y``       sorted set  the channels with leases by the end of their first one
``B:c:NAME``  pub/sub     ``EPOCH:OFFSET:PAYLOAD``; on ``B:a`` as ``NAME EPOCH:OFFSET:PAYLOAD`` those of all channels
============  ==========  ========================================================================================

The *life* is what a client thinks of the server's memory (:mod:`elio.channels.engines.redis.node`). Seen to be another
one, all positions of before are void and a new epoch begins.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

__all__ = ["HISTORY", "HOLD", "MATCHING", "MEMBERS", "POSITIONS", "PUBLISH", "RELEASE", "SCRIPTS", "SWEEP", "Script"]

# ARGV 1 to 7 are the same for all: life, a word to begin an epoch with if one must begin, history, ttl, seconds after
# which a channel may be forgotten, PUBLISH or SPUBLISH, "1" for news on `B:a` as well.
_COMMON: Final = """
local B = string.sub(KEYS[1], 1, -3)
local life, proposed, history, ttl, keep, verb, all = unpack(ARGV, 1, 7)
local call = redis.call
local function text(number) return string.format('%.0f', number) end
local function seconds() return tonumber(call('TIME')[1]) end
local known_epoch, known_floor
local function engine()
    if known_epoch then return known_epoch, known_floor end
    local at = call('HMGET', KEYS[1], 'e', 'l', 'f')
    known_epoch, known_floor = at[1], tonumber(at[3] or 0)
    if at[2] ~= life then
        local time = call('TIME')
        known_epoch = proposed .. time[1] .. time[2]
        call('HSET', KEYS[1], 'e', known_epoch, 'l', life)
    end
    return known_epoch, known_floor
end
local function bear(channel, floor)
    call('DEL', B .. ':h:' .. channel)
    call('HSET', B .. ':o:' .. channel, 'o', text(floor), 'b', text(floor))
    call('ZADD', B .. ':i', call('HINCRBY', KEYS[1], 'n', 1), channel)
    call('ZADD', B .. ':d', seconds() + keep, channel)
end
local kept = {}
local function append(channel, payload, nonce)
    local epoch, floor = engine()
    local meta, stream = B .. ':o:' .. channel, B .. ':h:' .. channel
    local offset = call('HINCRBY', meta, 'o', 1)
    if offset == 1 and call('HLEN', meta) == 1 then
        bear(channel, floor)
        offset = call('HINCRBY', meta, 'o', 1)
    end
    local id = text(offset)
    local place = epoch .. ':' .. id
    call('XADD', stream, 'MAXLEN', '~', history, id .. '-0', 'd', payload, 'n', nonce)
    if not kept[stream] then call('EXPIRE', stream, ttl) end
    kept[stream] = true
    local news = place .. ':' .. payload
    call(verb, B .. ':c:' .. channel, news)
    if all == '1' then call(verb, B .. ':a', channel .. ' ' .. news) end
    return place
end
"""

_LEASES: Final = (
    _COMMON
    + """
local function now()
    local time = call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function drop(channel, id)
    local left = call('HGET', B .. ':p:' .. channel, id)
    call('HDEL', B .. ':p:' .. channel, id)
    call('ZREM', B .. ':x:' .. channel, id)
    local size, rest = string.match(id, '^(%d+):(.*)$')
    local member = string.sub(rest, 1, tonumber(size))
    if call('HINCRBY', B .. ':w:' .. channel, member, -1) <= 0 then
        call('HDEL', B .. ':w:' .. channel, member)
        append('$presence.' .. channel, left, '')
    end
end
local function expire(channel, time)
    for _, id in ipairs(call('ZRANGEBYSCORE', B .. ':x:' .. channel, '-inf', text(time))) do drop(channel, id) end
end
local function schedule(channel)
    local first = call('ZRANGE', B .. ':x:' .. channel, 0, 0, 'WITHSCORES')
    if first[2] then call('ZADD', B .. ':y', first[2], channel) else call('ZREM', B .. ':y', channel) end
end
"""
)


class Script:
    """A script with its digest."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


PUBLISH: Final = Script(
    _COMMON
    + """
-- seconds to remember keys, then for each message: channel, payload, nonce, "1" if it may have been published already,
-- idempotency key or ""
local function publish(channel, payload, nonce, again, word)
    local key = B .. ':k:' .. channel .. ':' .. word
    if word ~= '' then
        local place = call('GET', key)
        if place then return place end
    end
    if again == '1' then
        for _, entry in ipairs(call('XREVRANGE', B .. ':h:' .. channel, '+', '-')) do
            if entry[2][4] == nonce then return (engine()) .. ':' .. string.sub(entry[1], 1, -3) end
        end
    end
    local place = append(channel, payload, nonce)
    if word ~= '' then call('SET', key, place, 'EX', ARGV[8]) end
    return place
end
local places = {}
for i = 9, #ARGV, 5 do places[#places + 1] = publish(unpack(ARGV, i, i + 4)) end
return places
"""
)
"""Publish messages; their places."""

POSITIONS: Final = Script(
    _COMMON
    + """
-- "1" to keep the channels from being forgotten, then channels
local epoch, floor = engine()
local found = {epoch, text(floor), call('HGET', KEYS[1], 'n') or '0'}
for i = 9, #ARGV do
    local offset = call('HGET', B .. ':o:' .. ARGV[i], 'o')
    if not offset then bear(ARGV[i], floor); offset = text(floor) end
    found[#found + 1] = offset
    if ARGV[8] == '1' then call('ZADD', B .. ':d', seconds() + keep, ARGV[i]) end
end
return found
"""
)
"""Epoch, floor, births, then the newest offset of each channel. From then on there are such channels."""

MATCHING: Final = Script(
    _COMMON
    + """
-- number of a birth, how many at most
local epoch, floor = engine()
local born = call('ZRANGEBYSCORE', B .. ':i', '(' .. ARGV[8], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[9])
local found = {epoch, text(floor), born[#born] or ARGV[8]}
for i = 1, #born, 2 do
    found[#found + 1] = born[i]
    found[#found + 1] = call('HGET', B .. ':o:' .. born[i], 'o') or text(floor)
end
return found
"""
)
"""Epoch, floor, number of the last birth read, then name and newest offset of the channels born behind a number."""

HISTORY: Final = Script(
    _COMMON
    + """
-- channel, epoch and offset to read behind, or "" and "", how many at most
local channel, since, after, limit = ARGV[8], ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11])
local epoch, floor = engine()
local at = call('HMGET', B .. ':o:' .. channel, 'o', 'b')
local offset, birth = tonumber(at[1] or floor), tonumber(at[2] or floor)
local from, whole = offset - history, true
if not after then
    from = math.max(from, offset - limit)
    after = 0
elseif since ~= epoch or after > offset then
    whole = false
else
    from = math.max(from, after)
end
from = math.max(from, birth)
local found = {}
for i, entry in ipairs(call('XRANGE', B .. ':h:' .. channel, '(' .. text(from) .. '-0', '+', 'COUNT', limit)) do
    found[2 * i - 1] = string.sub(entry[1], 1, -3)
    found[2 * i] = entry[2][2]
end
local behind = found[1] and tonumber(found[1]) - 1 or offset
return {epoch, text(offset), whole and behind == after and 1 or 0, found}
"""
)
"""Epoch, newest offset, whether nothing is missing, and offsets with payloads."""

HOLD: Final = Script(
    _LEASES
    + """
-- channel, ms, then for each lease: ID, member, notices of joining and of leaving
local channel, time = ARGV[8], now()
expire(channel, time)
for i = 10, #ARGV, 4 do
    local id, member = ARGV[i], ARGV[i + 1]
    if call('HSET', B .. ':p:' .. channel, id, ARGV[i + 3]) == 1 then
        if call('HINCRBY', B .. ':w:' .. channel, member, 1) == 1 then
            append('$presence.' .. channel, ARGV[i + 2], '')
        end
    end
    call('ZADD', B .. ':x:' .. channel, text(time + ARGV[9]), id)
end
schedule(channel)
return 1
"""
)
"""Take or renew leases."""

RELEASE: Final = Script(
    _LEASES
    + """
-- channel, ms, ID
local channel, time = ARGV[8], now()
call('ZADD', B .. ':x:' .. channel, 'XX', 'LT', text(time + ARGV[9]), ARGV[10])
expire(channel, time)
schedule(channel)
return 1
"""
)
"""End a lease so many ms from now at the latest."""

MEMBERS: Final = Script(
    _LEASES
    + """
-- channel
expire(ARGV[8], now())
schedule(ARGV[8])
return call('HVALS', B .. ':p:' .. ARGV[8])
"""
)
"""The notices of leaving of all leases."""

SWEEP: Final = Script(
    _LEASES
    + """
local time = now()
for _, channel in ipairs(call('ZRANGEBYSCORE', B .. ':y', '-inf', text(time), 'LIMIT', 0, 100)) do
    expire(channel, time)
    schedule(channel)
end
for _, channel in ipairs(call('ZRANGEBYSCORE', B .. ':d', '-inf', text(time / 1000), 'LIMIT', 0, 100)) do
    if call('EXISTS', B .. ':h:' .. channel) == 1 then
        call('ZADD', B .. ':d', seconds() + keep, channel)
    else
        local floor = math.max(tonumber(call('HGET', B .. ':o:' .. channel, 'o') or 0),
            tonumber(call('HGET', KEYS[1], 'f') or 0))
        call('HSET', KEYS[1], 'f', text(floor))
        call('DEL', B .. ':o:' .. channel)
        call('ZREM', B .. ':i', channel)
        call('ZREM', B .. ':d', channel)
    end
end
return 1
"""
)
"""End leases whose time has come, and forget channels that nobody used for long."""

SCRIPTS: Final = (PUBLISH, POSITIONS, MATCHING, HISTORY, HOLD, RELEASE, MEMBERS, SWEEP)
