-- Moves what waited for its time into the stream, and takes over what dead consumers left in flight. Returns
-- {{id, count, fields}, ...} and the milliseconds until the next one is due, -1 without one.
local max, idle_ms, longest_retry_ms = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local now = now_ms()
local past = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 100)
-- Later than any retry can be: from before the server's clock was set back.
local lost = redis.call('ZRANGEBYSCORE', due, now + longest_retry_ms + 1000, '+inf', 'LIMIT', 0, 100)
for _, id in ipairs(lost) do
    past[#past + 1] = id
end
for _, id in ipairs(past) do
    local entry = redis.call('XRANGE', delayed, id, id)[1]
    -- A full memory refuses it: then it stays due, and what is in the stream is delivered all the same,
    -- for that is what makes room.
    if entry and redis.pcall('XADD', stream, '*', unpack(entry[2])).err then
        break
    end
    redis.call('ZREM', due, id)
    redis.call('XDEL', delayed, id)
end

local claimed, cursor = {}, '0-0'
repeat
    local part = redis.call('XAUTOCLAIM', stream, group, consumer, idle_ms, cursor, 'COUNT', max - #claimed)
    cursor = part[1]
    for _, entry in ipairs(part[2]) do
        if entry then
            local id = entry[1]
            local pending = redis.call('XPENDING', stream, group, id, id, 1)
            claimed[#claimed + 1] = {id, pending[1][4], entry[2]}
        end
    end
until cursor == '0-0' or #claimed >= max

local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
return {claimed, first[2] and math.max(0, first[2] - now) or -1}
