-- Takes the longest-waiting stream of the shard. The keys of streams are made here, from the names in the queue: they
-- have the same hash tag, and so live on the same node.
--
-- KEYS: queue leases token op wakes     ARGV: now expires streams low high, then prefixes; streams is the key of a stream without its name
-- Returns {name, token}, or nothing.

-- Sent again after a lost answer, it must not take a second stream.
local before = redis.call('HMGET', KEYS[4], 'name', 'token')
if before[1] then return before end

local name, _, set = first(KEYS[1], KEYS[2], ARGV[4], ARGV[5], 6)
if not name then return {} end

-- Starting from the clock keeps tokens rising for deploy targets that outlive this store (a backup restored, or loss
-- that was accepted); the counter, not the clock, is what makes them rise within it.
local token = tonumber(redis.call('GET', KEYS[3]) or '0') + 1
local now = tonumber(ARGV[1])
if now > token then token = now end
token = string.format('%.0f', token)

redis.call('SET', KEYS[3], token)
redis.call('ZREM', set, name)
redis.call('ZREM', KEYS[5], name)
redis.call('ZADD', KEYS[2], ARGV[2], name)
redis.call('HSET', ARGV[3] .. name, 'token', token)
redis.call('HSET', KEYS[4], 'name', name, 'token', token)
redis.call('PEXPIRE', KEYS[4], 60000)
return {name, token}
