-- KEYS: stream, then what is stored, then what is removed.
-- ARGV: revision, '1' when the state changes, state, seconds to live, '1' when there is a notice and '2' when
-- it is the state, notice,
-- how to publish, where, the commit's name, how many are stored, then per stored: bytes, milliseconds to live.
local is = redis.call('HGET', KEYS[1], 'revision') or '0'
-- Sent twice, as the driver does when a connection broke before the answer: it holds already.
if redis.call('HGET', KEYS[1], 'commit') == ARGV[9] then return is end
if is ~= ARGV[1] then return false end
if ARGV[2] == '1' then
  -- From the clock, so that it does not repeat for a later stream of the room.
  local time = redis.call('TIME')
  is = string.format('%.0f', math.max(time[1] * 1000000 + time[2], tonumber(is) + 1))
  redis.call('HSET', KEYS[1], 'revision', is, 'state', ARGV[3])
end
redis.call('HSET', KEYS[1], 'commit', ARGV[9])
redis.call('EXPIRE', KEYS[1], ARGV[4])
local stored = tonumber(ARGV[10])
for index = stored + 2, #KEYS do redis.call('UNLINK', KEYS[index]) end
for index = 1, stored do
  local base = 9 + 2 * index
  redis.call('SET', KEYS[index + 1], ARGV[base], 'PX', ARGV[base + 1])
end
if ARGV[5] == '1' then redis.call(ARGV[7], ARGV[8], ARGV[6]) end
if ARGV[5] == '2' then redis.call(ARGV[7], ARGV[8], ARGV[3]) end
return is
