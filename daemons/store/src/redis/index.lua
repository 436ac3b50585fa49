-- Shared by the scripts that touch a shard of the index; prepended to them.

-- The room is due at `at` unless it is earlier; while somebody has it claimed, that counts once they have
-- settled.
local function note_due(due, claimed, room, at)
  local meanwhile = redis.call('HGET', claimed, room)
  if not meanwhile then
    redis.call('ZADD', due, 'LT', at, room)
  elseif meanwhile == '' or tonumber(at) < tonumber(meanwhile) then
    redis.call('HSET', claimed, room, at)
  end
end

-- The room is there; since when tells this entry from one for a later room of the same id.
local function note_room(rooms, since, room)
  local time = redis.call('TIME')
  redis.call('ZADD', rooms, 0, room)
  redis.call('HSET', since, room, time[1] .. string.format('%06d', time[2]))
end
