-- Rooms found alive stay in the index, and return to it where it was lost.
-- KEYS: the shard's rooms, since, due, claimed. ARGV: seconds to live, then rooms.
for index = 2, #ARGV do
  if redis.call('HEXISTS', KEYS[2], ARGV[index]) == 0 then note_room(KEYS[1], KEYS[2], ARGV[index]) end
end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[1]) end
return 1
