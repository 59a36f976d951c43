-- Sends back the dead letters of one page, or those of it whose message has the wanted id. Returns
-- how many, the last entry looked at ('' at the end), and where the end was when this began: what
-- dies again meanwhile is not sent back twice.
local start, stop, page, id_field, wanted = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
if stop == '' then
    local newest = redis.call('XREVRANGE', dead, '+', '-', 'COUNT', 1)[1]
    if not newest then
        return {0, '', ''}
    end
    stop = newest[1]
end
local moved, last = 0, ''
for _, entry in ipairs(redis.call('XRANGE', dead, start, stop, 'COUNT', page)) do
    last = entry[1]
    local id
    for i = 1, #entry[2], 2 do
        if entry[2][i] == id_field then
            id = entry[2][i + 1]
        end
    end
    if wanted == '' or id == wanted then
        redis.call('XADD', stream, '*', message(entry, {}))
        redis.call('XDEL', dead, last)
        moved = moved + 1
    end
end
return {moved, last, stop}
