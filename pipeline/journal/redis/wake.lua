-- Takes those streams out of the park whose time to wake has come: what their scores have on top, base, is taken away. An
-- append does it for its own stream, and whoever leases for all of the shard. queue and wakes are keys.
local function wakeOne(queue, wakes, base, name)
  redis.call('ZREM', wakes, name)
  local score = tonumber(redis.call('ZSCORE', queue, name) or '0')
  if score >= base then redis.call('ZADD', queue, string.format('%.0f', score - base), name) end
end

local function wakeAll(queue, wakes, base, now)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', wakes, '-inf', now)) do wakeOne(queue, wakes, base, name) end
end

