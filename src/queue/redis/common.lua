-- What all scripts of this folder start with. Each runs as one step: a process or a server that dies
-- has done all of it or nothing. Where something moves, it is written to its new place first, so that
-- a command Redis refuses in the middle (memory is full) leaves it in the old one.
local stream, due, delayed, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer, ours = ARGV[1], ARGV[2], ARGV[3]
local attempt_field = string.match(ours, '%S+')

local passing = {}
for name in string.gmatch(ours, '%S+') do
    passing[name] = true
end

-- The server's clock: the consumers' need not agree with each other.
local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function number_of(entry, field)
    for i = 1, #entry[2], 2 do
        if entry[2][i] == field then
            return tonumber(entry[2][i + 1])
        end
    end
end

-- The message in an entry as fields for XADD: what belongs to a stay at its present place is left
-- out, `more` is put in.
local function message(entry, more)
    local fields = more
    for i = 1, #entry[2], 2 do
        if not passing[entry[2][i]] then
            fields[#fields + 1] = entry[2][i]
            fields[#fields + 1] = entry[2][i + 1]
        end
    end
    return unpack(fields)
end

local function find(id)
    return redis.call('XRANGE', stream, id, id)[1]
end

-- Whether this very delivery is still this consumer's: redelivered, its count is another.
local function held(id, count)
    local pending = redis.pcall('XPENDING', stream, group, id, id, 1, consumer)
    if pending.err and not string.find(pending.err, 'NOGROUP', 1, true) then
        error(pending.err)
    end
    return not pending.err and pending[1] and pending[1][4] == tonumber(count)
end

local function leave(...)
    redis.call('XACK', stream, group, ...)
    redis.call('XDEL', stream, ...)
end

-- Puts a pending entry back after so many milliseconds; `count` is how often it was delivered.
local function again(id, count, delay)
    local entry = find(id)
    if entry then
        local attempts = (number_of(entry, attempt_field) or 0) + count
        local fields = {attempt_field, attempts}
        if delay == 0 then
            redis.call('XADD', stream, '*', message(entry, fields))
        else
            local copy = redis.call('XADD', delayed, '*', message(entry, fields))
            -- One more: the clock's milliseconds are cut off, and early would be wrong.
            redis.call('ZADD', due, now_ms() + delay + 1, copy)
        end
    end
    leave(id)
end
