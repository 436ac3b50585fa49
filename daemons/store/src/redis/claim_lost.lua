-- KEYS: nodes, claimed. ARGV: now, how long a claim holds, seconds to live.
local lost = {}
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])) do
  local claimed = redis.call('HGET', KEYS[2], node)
  if not claimed or tonumber(claimed) + tonumber(ARGV[2]) <= tonumber(ARGV[1]) then
    redis.call('HSET', KEYS[2], node, ARGV[1])
    lost[#lost + 1] = node
  end
end
redis.call('EXPIRE', KEYS[2], ARGV[3])
return lost
