-- KEYS: kept. ARGV: user.
local list = KEYS[1] .. ':' .. ARGV[1]
local signals = redis.call('LRANGE', list, 0, -1)
local missed = redis.call('HGET', KEYS[1], ARGV[1]) == '-1'
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('UNLINK', list)
return { signals, missed and 1 or 0 }
