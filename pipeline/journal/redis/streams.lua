-- KEYS: names     ARGV: prefix limit
-- Returns name, appended, name, appended ... of the most recently appended streams of the shard. It writes nothing.
local found, offset, limit = {}, 0, tonumber(ARGV[2])
while true do
  local page = redis.call('ZREVRANGE', KEYS[1], offset, offset + 499, 'WITHSCORES')
  for i = 1, #page, 2 do
    if #found >= 2 * limit then return found end
    if string.sub(page[i], 1, #ARGV[1]) == ARGV[1] then
      found[#found + 1] = page[i]
      found[#found + 1] = page[i + 1]
    end
  end
  if #page < 1000 then return found end
  offset = offset + 500
end
