-- KEYS: log, seq. ARGV: how many are kept, seconds to live, how to publish, where, then per event: at, name, data.
local seq
for base = 5, #ARGV, 3 do
  seq = redis.call('INCR', KEYS[2])
  redis.call('XADD', KEYS[1], 'MAXLEN', '=', ARGV[1], string.format('%.0f-0', seq), 'at', ARGV[base],
    'name', ARGV[base + 1], 'data', ARGV[base + 2])
end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[2]) end
redis.call(ARGV[3], ARGV[4], '')
return 1
