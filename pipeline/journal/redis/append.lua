-- Writes a batch, marks the stream as having work, and tells listeners: whole or not at all.
--
-- KEYS: stream records keys ops queue leases names wakes
-- ARGV: name expect token now op channel base, then kind key at data for each record
-- Returns {word, version}: ok, lost, duplicate or conflict.

-- The client sends a script again when its answer was lost. The operation's id tells, and the first answer stands.
local before = redis.call('ZSCORE', KEYS[4], ARGV[5])
if before then return {'ok', tonumber(before)} end

local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
local newest = redis.call('HGET', KEYS[1], 'token') or '0'
local name, expect, token, now = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

if token ~= '0' and token ~= newest then return {'lost', version} end
local batch = {}
for i = 8, #ARGV, 4 do
  local key = ARGV[i + 1]
  if key ~= '' then
    if batch[key] or redis.call('SISMEMBER', KEYS[3], key) == 1 then return {'duplicate', version, key} end
    batch[key] = true
  end
end
if expect ~= -1 and expect ~= version then return {'conflict', version} end

for i = 8, #ARGV, 4 do
  version = version + 1
  redis.call('XADD', KEYS[2], string.format('%.0f-0', version),
    'kind', ARGV[i], 'key', ARGV[i + 1], 'at', ARGV[i + 2], 'data', ARGV[i + 3])
  if ARGV[i + 1] ~= '' then redis.call('SADD', KEYS[3], ARGV[i + 1]) end
end
redis.call('HSET', KEYS[1], 'version', string.format('%.0f', version))
redis.call('ZADD', KEYS[7], now, name)
local wakes = redis.call('ZSCORE', KEYS[8], name)
if wakes and tonumber(wakes) <= tonumber(now) then
  wakeOne(KEYS[5], KEYS[8], tonumber(ARGV[7]), name)
elseif wakes then
  redis.call('ZREM', KEYS[8], name)
end
if not redis.call('ZSCORE', KEYS[6], name) then redis.call('ZADD', KEYS[5], 'LT', now, name) end

-- A retry comes within seconds. Five minutes and 1,024 operations are plenty, and bound what is kept.
redis.call('ZADD', KEYS[4], version, ARGV[5])
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1025)
redis.call('PEXPIRE', KEYS[4], 300000)

redis.call('PUBLISH', ARGV[6], name)
return {'ok', version}
