-- KEYS: heard, claimed, revisions. ARGV: now, before when, how long a claim holds, how many at most, seconds to live.
local silent, revisions = {}, {}
for _, munit in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[2])) do
  local claimed = redis.call('HGET', KEYS[2], munit)
  if not claimed or tonumber(claimed) + tonumber(ARGV[3]) <= tonumber(ARGV[1]) then
    redis.call('HSET', KEYS[2], munit, ARGV[1])
    silent[#silent + 1] = munit
    revisions[#silent] = redis.call('HGET', KEYS[3], munit) or '0'
    if #silent >= tonumber(ARGV[4]) then break end
  end
end
redis.call('EXPIRE', KEYS[2], ARGV[5])
return { silent, revisions }
