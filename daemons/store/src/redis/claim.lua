-- KEYS: the shard's due, claimed. ARGV: now, until when a claim holds, how many at most.
local rooms = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, room in ipairs(rooms) do
  redis.call('ZADD', KEYS[1], ARGV[2], room)
  redis.call('HSETNX', KEYS[2], room, '')
end
return rooms
