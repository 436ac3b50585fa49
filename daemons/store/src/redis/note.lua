-- KEYS: the shard's rooms, since, due, claimed. ARGV: room, '1' when it is new, due or '', seconds to live.
if ARGV[2] == '1' then note_room(KEYS[1], KEYS[2], ARGV[1]) end
if ARGV[3] ~= '' then note_due(KEYS[3], KEYS[4], ARGV[1], ARGV[3]) end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[4]) end
return 1
