-- Shared by the scripts that touch a munit or the indexes of munits; prepended to them.

-- What the indexes shall say of a munit: its revision, how many stations it takes, when it was last heard
-- or '' when it is lost already. Nothing when there is no such munit.
-- As Record::free_by and Record::heard_at in core.
local function stands(munit)
  local found = redis.call('HMGET', munit, 'revision', 'free', 'viewers', 'instance', 'since', 'lost', 'beat')
  local revision, free, viewers, instance, since, lost, beat = unpack(found)
  if not revision then return nil end
  if beat then
    local said = cjson.decode(beat)
    if said.instance == instance and not (said.ready and said.load.viewers < tonumber(viewers)) then free = '0' end
    if said.at > tonumber(since) then since = string.format('%.0f', said.at) end
  end
  return { revision, free, lost == '1' and '' or since }
end

-- INDEX: ids, free, heard, claimed, revisions.
local function drop_munit(index, munit)
  for _, set in ipairs({ index[1], index[2], index[3] }) do redis.call('ZREM', set, munit) end
  for _, hash in ipairs({ index[4], index[5] }) do redis.call('HDEL', hash, munit) end
end

-- Makes the indexes say how a munit stands, unless they say it of a later revision.
local function note_munit(index, munit, revision, free, heard, ttl)
  local ids, free_set, heard_set, claimed, revisions = unpack(index)
  if tonumber(redis.call('HGET', revisions, munit) or '0') > tonumber(revision) then return end
  redis.call('ZADD', ids, 0, munit)
  redis.call('HSET', revisions, munit, revision)
  if free == '0' then redis.call('ZREM', free_set, munit) else redis.call('ZADD', free_set, free, munit) end
  if heard == '' then
    redis.call('ZREM', heard_set, munit)
    redis.call('HDEL', claimed, munit)
  else
    -- Heard anew, it is nobody's any more.
    if redis.call('ZADD', heard_set, 'CH', heard, munit) == 1 then redis.call('HDEL', claimed, munit) end
  end
  for _, key in ipairs(index) do redis.call('EXPIRE', key, ttl) end
end
