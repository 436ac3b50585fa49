-- Takes a room out of the index, unless the entry is another than the one seen.
-- KEYS: the shard's rooms, since. ARGV: room, since as seen.
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
