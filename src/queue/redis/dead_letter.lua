-- The bounds of the dead letters follow the delivery, then the fields that say why, name and value in turn.
local id, count, most, longest_ms = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
if not held(id, count) then
    return 0
end
local entry = find(id)
if entry then
    redis.call('XADD', dead, '*', message(entry, {unpack(ARGV, 8)}))
    -- Whole nodes of the stream only: a few more stay for a while.
    redis.call('XTRIM', dead, 'MAXLEN', '~', most)
    redis.call('XTRIM', dead, 'MINID', '~', math.max(0, now_ms() - longest_ms))
end
leave(id)
return 1
