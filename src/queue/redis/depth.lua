-- Before the first consumer there is no group, and nothing in flight.
local pending = redis.pcall('XPENDING', stream, group)
local in_flight = pending.err and 0 or pending[1]
local waiting = redis.call('XLEN', stream) - in_flight + redis.call('ZCARD', due)
return {math.max(0, waiting), in_flight, redis.call('XLEN', dead)}
