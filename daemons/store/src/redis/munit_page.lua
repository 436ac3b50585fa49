-- The next munits in order of their ids, each with its revision.
-- KEYS: ids, revisions. ARGV: where to begin (ZRANGEBYLEX), how many.
local munits = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0, ARGV[2])
local revisions = {}
for index, munit in ipairs(munits) do revisions[index] = redis.call('HGET', KEYS[2], munit) or '0' end
return { munits, revisions }
