-- Idle for no time, and with JUSTID no further delivery.
local id, count = ARGV[4], ARGV[5]
if not held(id, count) then
    return 0
end
redis.call('XCLAIM', stream, group, consumer, 0, id, 'JUSTID')
return 1
