-- Removes old streams that rest: neither queued nor leased, nor waiting for their wake time.
--
-- KEYS: queue leases names     ARGV: prefix before limit tag; tag is what the keys of the shard start with
-- Returns how many were removed.
local gone, offset, limit = 0, 0, tonumber(ARGV[3])
while gone < limit do
  local page = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. ARGV[2], 'LIMIT', offset, 500)
  for _, name in ipairs(page) do
    if gone < limit and string.sub(name, 1, #ARGV[1]) == ARGV[1]
      and not redis.call('ZSCORE', KEYS[1], name) and not redis.call('ZSCORE', KEYS[2], name) then
      redis.call('UNLINK', ARGV[4] .. 'stream:' .. name, ARGV[4] .. 'records:' .. name,
        ARGV[4] .. 'keys:' .. name, ARGV[4] .. 'ops:' .. name)
      redis.call('ZREM', KEYS[3], name)
      gone = gone + 1
    else
      offset = offset + 1
    end
  end
  if #page < 500 then break end
end
return gone
