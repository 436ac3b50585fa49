-- KEYS: munit, revision; on a single server also the index's ids, free, heard, claimed, revisions.
-- ARGV: munit, beat, seconds to live, index seconds to live.
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
redis.call('HSET', KEYS[1], 'beat', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
local stand = stands(KEYS[1])
if KEYS[3] then note_munit({ unpack(KEYS, 3) }, ARGV[1], stand[1], stand[2], stand[3], ARGV[4]) end
return stand
