-- To delete a consumer is to forget what it has in flight: that is requeued first.
repeat
    local mine = redis.call('XPENDING', stream, group, '-', '+', 100, consumer)
    for _, pending in ipairs(mine) do
        again(pending[1], pending[4], 0)
    end
until #mine == 0
redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
return 1
