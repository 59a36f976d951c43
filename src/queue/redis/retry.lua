local id, count, delay_ms = ARGV[4], ARGV[5], tonumber(ARGV[6])
if not held(id, count) then
    return 0
end
again(id, count, delay_ms)
return 1
