-- The longest-waiting stream of a shard that starts with one of the prefixes: name, since, and the set it is in.
-- Streams that have waited equally long come in the order of their names, which is how Redis sorts equal scores.
-- The prefixes are ARGV from number `from` on. low and high bound the score: a parked stream's is beyond all times.
local function starts(name, from)
  for i = from, #ARGV do
    if string.sub(name, 1, #ARGV[i]) == ARGV[i] then return true end
  end
  return #ARGV < from
end

local function earliest(set, low, high, from)
  local offset, page = 0, (#ARGV < from) and 1 or 500
  while true do
    local found = redis.call('ZRANGEBYSCORE', set, low, high, 'WITHSCORES', 'LIMIT', offset, page)
    for i = 1, #found, 2 do
      if starts(found[i], from) then return found[i], tonumber(found[i + 1]) end
    end
    if #found < 2 * page then return nil end
    offset = offset + page
  end
end

local function first(queue, leases, low, high, from)
  local waiting, since = earliest(queue, low, high, from)
  local expired, expiry = earliest(leases, low, high, from)
  if not waiting or (expired and (expiry < since or (expiry == since and expired < waiting))) then
    return expired, expiry, leases
  end
  return waiting, since, queue
end

