-- KEYS: room, revision, members, order, granted, due, nodes, at, kept.
-- ARGV: how many heirs, 'users', user… | 'due', now, limit | 'at', node, limit | 'first', limit.
local found = redis.call('HMGET', KEYS[1], 'revision', 'record')
if not found[1] then return {} end
local count = redis.call('ZCARD', KEYS[4])
if count == 0 then return { found[1], found[2], 0 } end

local heirs = {}
local function add_heirs(places, by_grant, known)
  for index = 1, #places, 2 do
    if #heirs < tonumber(ARGV[1]) and not known[places[index]] then
      heirs[#heirs + 1] = { places[index], by_grant, string.format('%.0f', places[index + 1]) }
      known[places[index]] = true
    end
  end
  return known
end
local known = add_heirs(redis.call('ZRANGE', KEYS[5], 0, ARGV[1] - 1, 'WITHSCORES'), 1, {})
-- Where fewer have the grant than are asked for, those are all that have it.
add_heirs(redis.call('ZRANGE', KEYS[4], 0, ARGV[1] + #heirs - 1, 'WITHSCORES'), 0, known)
local due = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')[2]
if due then due = string.format('%.0f', due) end

local users = {}
if ARGV[2] == 'users' then
  for index = 3, #ARGV do users[index - 2] = ARGV[index] end
elseif ARGV[2] == 'due' then
  users = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', ARGV[3], 'LIMIT', 0, ARGV[4])
elseif ARGV[2] == 'at' then
  -- All that begins with the node and '/': '0' is the next character.
  local here = redis.call('ZRANGEBYLEX', KEYS[8], '[' .. ARGV[3] .. '/', '(' .. ARGV[3] .. '0', 'LIMIT', 0, ARGV[4])
  for index, place in ipairs(here) do users[index] = string.sub(place, #ARGV[3] + 2) end
elseif ARGV[2] == 'first' and tonumber(ARGV[3]) > 0 then
  users = redis.call('ZRANGE', KEYS[4], 0, ARGV[3] - 1)
end
local members = {}
for _, user in ipairs(users) do
  local member = redis.call('HGET', KEYS[3], user)
  if member then members[#members + 1] = member end
end
return { found[1], found[2], count, heirs, due or '', members, redis.call('HKEYS', KEYS[7]) }
