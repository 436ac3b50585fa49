-- KEYS: room, revision, members, order, granted, due, nodes, at, kept.
-- ARGV: 'users', user… | 'due', now, limit | 'at', node, limit | 'first', limit.
local found = redis.call('HMGET', KEYS[1], 'revision', 'record')
if not found[1] then return {} end
local count = redis.call('ZCARD', KEYS[4])
if count == 0 then return { found[1], found[2], 0 } end

local granted = redis.call('ZRANGE', KEYS[5], 0, 0)[1]
local heir = granted or redis.call('ZRANGE', KEYS[4], 0, 0)[1]
local due = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')[2]
if due then due = string.format('%.0f', due) end

local users = {}
if ARGV[1] == 'users' then
  for index = 2, #ARGV do users[index - 1] = ARGV[index] end
elseif ARGV[1] == 'due' then
  users = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
elseif ARGV[1] == 'at' then
  -- '0' is the character after '/', which no node and no user has in its id.
  local here = redis.call('ZRANGEBYLEX', KEYS[8], '[' .. ARGV[2] .. '/', '(' .. ARGV[2] .. '0', 'LIMIT', 0, ARGV[3])
  for index, place in ipairs(here) do users[index] = string.sub(place, #ARGV[2] + 2) end
elseif ARGV[1] == 'first' and tonumber(ARGV[2]) > 0 then
  users = redis.call('ZRANGE', KEYS[4], 0, ARGV[2] - 1)
end
local members = {}
for _, user in ipairs(users) do
  local member = redis.call('HGET', KEYS[3], user)
  if member then members[#members + 1] = member end
end
return {
  found[1], found[2], count, heir, granted and 1 or 0, due or '', members, redis.call('HKEYS', KEYS[7]),
}
