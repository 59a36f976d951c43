local id, count = ARGV[4], ARGV[5]
if not held(id, count) then
    return 0
end
leave(id)
return 1
