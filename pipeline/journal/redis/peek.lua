-- KEYS: queue leases     ARGV: low high, then prefixes
-- Returns {name, since}, or nothing. It writes nothing.
local name, since = first(KEYS[1], KEYS[2], ARGV[1], ARGV[2], 3)
if not name then return {} end
return {name, string.format('%.0f', since)}
