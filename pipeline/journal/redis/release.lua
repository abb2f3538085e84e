-- KEYS: stream queue leases wakes     ARGV: name token seen score now wake; score is empty when it rests, wake for none
-- Returns 1, or 0 when the lease was lost. Sent again, it changes nothing.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
if redis.call('ZREM', KEYS[3], ARGV[1]) == 0 then return 1 end
if tonumber(ARGV[3]) < tonumber(redis.call('HGET', KEYS[1], 'version')) then
  redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
elseif ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
  if ARGV[6] ~= '' then redis.call('ZADD', KEYS[4], ARGV[6], ARGV[1]) end
end
return 1
