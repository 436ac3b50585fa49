-- KEYS: room, revision, members, order, granted, due, nodes, at, kept. ARGV: seconds to live.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[1]) end
for _, user in ipairs(redis.call('HKEYS', KEYS[9])) do redis.call('EXPIRE', KEYS[9] .. ':' .. user, ARGV[1]) end
return 1
