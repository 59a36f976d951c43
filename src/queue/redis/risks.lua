-- What the server's configuration may cost, as the lines of INFO that tell. Empty where this user may not ask.
local told = {}
for _, section in ipairs({'persistence', 'memory', 'replication'}) do
    local info = redis.pcall('INFO', section)
    if type(info) == 'string' then
        told[#told + 1] = info
    end
end
return table.concat(told, '\n')
