-- The fields that say why follow the delivery, name and value in turn.
local id, count = ARGV[4], ARGV[5]
if not held(id, count) then
    return 0
end
local entry = find(id)
if entry then
    redis.call('XADD', dead, '*', message(entry, {unpack(ARGV, 6)}))
end
leave(id)
return 1
