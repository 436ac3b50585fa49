-- The next rooms of a shard in order of their ids, each with its since, and the server's time.
-- KEYS: the shard's rooms, since. ARGV: where to begin (ZRANGEBYLEX), how many.
local rooms = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0, ARGV[2])
local since = {}
for index, room in ipairs(rooms) do since[index] = redis.call('HGET', KEYS[2], room) or '0' end
local time = redis.call('TIME')
return { rooms, since, time[1] .. string.format('%06d', time[2]) }
