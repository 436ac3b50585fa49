-- Takes a munit out of the indexes, unless they say something of a later revision than the one named.
-- KEYS: ids, free, heard, claimed, revisions. ARGV: munit, revision.
if tonumber(redis.call('HGET', KEYS[5], ARGV[1]) or '0') > tonumber(ARGV[2]) then return 0 end
drop_munit(KEYS, ARGV[1])
return 1
