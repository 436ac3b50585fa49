-- KEYS: munit, revision; on a single server also the index's ids, free, heard, claimed, revisions (in a
-- cluster they lie elsewhere and are written after).
-- ARGV: revision, munit, the commit's name, seconds to live, index seconds to live, record or '' when it goes;
-- then of a record: how many stations it takes, viewers at most, instance, since, '1' when it is lost.
local munit, revision = KEYS[1], KEYS[2]
local index = { unpack(KEYS, 3) }

local is = redis.call('HGET', munit, 'revision')
-- Sent twice, as the driver does when a connection broke before the answer: it holds already.
local again = is and redis.call('HGET', munit, 'commit') == ARGV[3]
if not again and (is or '0') ~= ARGV[1] then return { 0 } end

if ARGV[6] == '' then
  redis.call('UNLINK', munit)
  if index[1] then drop_munit(index, ARGV[2]) end
  return { 1, '0' }
end
if not again then
  -- From the clock, so that it does not repeat even when the counter is lost.
  local time = redis.call('TIME')
  local next = math.max(time[1] * 1000000 + time[2], tonumber(redis.call('GET', revision) or '0') + 1)
  is = string.format('%.0f', next)
  redis.call('SET', revision, is)
  redis.call('HSET', munit, 'revision', is, 'commit', ARGV[3], 'record', ARGV[6], 'free', ARGV[7],
    'viewers', ARGV[8], 'instance', ARGV[9], 'since', ARGV[10], 'lost', ARGV[11])
end
redis.call('EXPIRE', munit, ARGV[4])
redis.call('EXPIRE', revision, ARGV[4])
local stand = stands(munit)
if index[1] then note_munit(index, ARGV[2], stand[1], stand[2], stand[3], ARGV[5]) end
return { 1, unpack(stand) }
