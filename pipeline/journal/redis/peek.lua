-- KEYS: queue leases wakes     ARGV: now base low high, then prefixes
-- Returns {name, since}, or nothing.
wakeAll(KEYS[1], KEYS[3], tonumber(ARGV[2]), ARGV[1])
local name, since = first(KEYS[1], KEYS[2], ARGV[3], ARGV[4], 5)
if not name then return {} end
return {name, string.format('%.0f', since)}
