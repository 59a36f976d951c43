local ids = {}
for i = 4, #ARGV, 2 do
    if held(ARGV[i], ARGV[i + 1]) then
        ids[#ids + 1] = ARGV[i]
    end
end
if #ids > 0 then
    leave(unpack(ids))
end
return #ids
