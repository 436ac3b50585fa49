-- The earlier of what the claimer says and what was set meanwhile counts.
-- KEYS: the shard's due, claimed. ARGV: room, next or '', seconds to live.
local stands = redis.call('HGET', KEYS[2], ARGV[1])
if not stands then stands = redis.call('ZSCORE', KEYS[1], ARGV[1]) or '' end
local due = ARGV[2]
if due == '' or (stands ~= '' and tonumber(stands) < tonumber(due)) then due = stands end
redis.call('HDEL', KEYS[2], ARGV[1])
if due == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], due, ARGV[1])
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[3]) end
end
return 1
