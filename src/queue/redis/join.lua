-- Makes stream and group, and forgets consumers that went away with nothing in flight.
local forget_after_ms = tonumber(ARGV[4])
local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
if consumers.err then
    -- Only where it is not there: a full memory refuses to make even what is.
    local made = redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
        return made
    end
    consumers = redis.call('XINFO', 'CONSUMERS', stream, group)
end
for _, flat in ipairs(consumers) do
    local info = {}
    for i = 1, #flat, 2 do
        info[flat[i]] = flat[i + 1]
    end
    if info.pending == 0 and info.idle > forget_after_ms then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, info.name)
    end
end
return 1
