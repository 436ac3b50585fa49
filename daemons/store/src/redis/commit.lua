-- KEYS: room, revision, members, order, granted, due, nodes, at, kept; on a single server also the index
-- shard's rooms, since, due, claimed (in a cluster they lie elsewhere and are written before).
-- Kept signals lie in lists named after kept, under the same hash tag.
-- ARGV: revision, what becomes of the record, record, room, seconds to live, due or '', index seconds to
-- live, most kept, most kept bytes, the commit's name, number of members;
-- then per member: user, '=' and the secret it had or '' for none, what it is or '' when it goes, '=' and its
-- secret or '', order, '1' when granted, due or '', node or '' when away;
-- then per kept change: user, '+' and the signal, or user, '-' and ''.
local room, revision, members, order, granted, due, nodes, at, kept = unpack(KEYS, 1, 9)
local MEMBER = 8

local is = redis.call('HGET', room, 'revision')
-- Sent twice, as the driver does when a connection broke before the answer: it holds already.
if is and redis.call('HGET', room, 'commit') == ARGV[10] then return { 1, is } end
if (is or '0') ~= ARGV[1] then return { 0 } end
local member_count, first = tonumber(ARGV[11]), 12
local kept_first = first + member_count * MEMBER
if not is and ARGV[2] == 'same' and #ARGV >= first then return { 0 } end

local stored = {}
local function member_now(user)
  if stored[user] == nil then
    local json = redis.call('HGET', members, user)
    stored[user] = json and cjson.decode(json) or false
  end
  return stored[user]
end
if ARGV[2] ~= 'remove' then
  local secrets = {}
  for base = first, kept_first - 1, MEMBER do
    local user = ARGV[base]
    local secret = secrets[user]
    if secret == nil then
      local member = member_now(user)
      secret = member and '=' .. member.resume or ''
    end
    if secret ~= ARGV[base + 1] then return { 0 } end
    secrets[user] = ARGV[base + 3]
  end
end

if ARGV[6] ~= '' and KEYS[10] then note_due(KEYS[12], KEYS[13], ARGV[4], ARGV[6]) end

if ARGV[2] == 'remove' then
  for _, user in ipairs(redis.call('HKEYS', kept)) do redis.call('UNLINK', kept .. ':' .. user) end
  redis.call('UNLINK', room, members, order, granted, due, nodes, at, kept)
  if KEYS[10] then
    redis.call('ZREM', KEYS[10], ARGV[4])
    redis.call('HDEL', KEYS[11], ARGV[4])
  end
  return { 1, '0' }
end

if ARGV[2] == 'put' then
  if KEYS[10] and not is then note_room(KEYS[10], KEYS[11], ARGV[4]) end
  -- From the clock, so that it does not repeat even when the counter is lost.
  local time = redis.call('TIME')
  local next = math.max(time[1] * 1000000 + time[2], tonumber(redis.call('GET', revision) or '0') + 1)
  is = string.format('%.0f', next)
  redis.call('SET', revision, is)
  redis.call('HSET', room, 'revision', is, 'record', ARGV[3])
end
if not is then return { 1, '0' } end
redis.call('HSET', room, 'commit', ARGV[10])

local function leave(user)
  local member = member_now(user)
  if member and not member.away_since then
    local node = member.address.node
    redis.call('ZREM', at, node .. '/' .. user)
    if redis.call('HINCRBY', nodes, node, -1) <= 0 then redis.call('HDEL', nodes, node) end
  end
end
local function place(set, user, score)
  if score == '' then redis.call('ZREM', set, user) else redis.call('ZADD', set, score, user) end
end
for base = first, kept_first - 1, MEMBER do
  local user, json = ARGV[base], ARGV[base + 2]
  leave(user)
  if json == '' then
    redis.call('HDEL', members, user)
    redis.call('ZREM', order, user)
    redis.call('ZREM', granted, user)
    redis.call('ZREM', due, user)
    redis.call('HDEL', kept, user)
    redis.call('UNLINK', kept .. ':' .. user)
    stored[user] = false
  else
    redis.call('HSET', members, user, json)
    redis.call('ZADD', order, ARGV[base + 4], user)
    place(granted, user, ARGV[base + 5] == '1' and ARGV[base + 4] or '')
    place(due, user, ARGV[base + 6])
    local node = ARGV[base + 7]
    if node ~= '' then
      redis.call('ZADD', at, 0, node .. '/' .. user)
      redis.call('HINCRBY', nodes, node, 1)
    end
    stored[user] = { away_since = node == '' or nil, address = { node = node } }
  end
end

-- What is kept counts its bytes in the hash; -1 says that some were missed.
for base = kept_first, #ARGV, 3 do
  local user, signal = ARGV[base], ARGV[base + 2]
  local list = kept .. ':' .. user
  if ARGV[base + 1] == '-' then
    redis.call('HDEL', kept, user)
    redis.call('UNLINK', list)
  else
    local bytes = tonumber(redis.call('HGET', kept, user) or '0')
    if bytes >= 0 then
      bytes = bytes + #signal
      if bytes > tonumber(ARGV[9]) or redis.call('LLEN', list) >= tonumber(ARGV[8]) then
        bytes = -1
      else
        redis.call('RPUSH', list, signal)
      end
      redis.call('HSET', kept, user, bytes)
    end
    redis.call('EXPIRE', list, ARGV[5])
  end
end

for index, key in ipairs(KEYS) do redis.call('EXPIRE', key, index <= 9 and ARGV[5] or ARGV[7]) end
return { 1, is }
