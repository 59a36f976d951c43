-- `counts` is 1 for a delivery that was an attempt, 0 for one that a drain has cut short.
local id, count, delay_ms, counts = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
if not held(id, count) then
    return 0
end
again(id, count - 1 + counts, delay_ms)
return 1
