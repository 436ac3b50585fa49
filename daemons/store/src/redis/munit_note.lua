-- KEYS: ids, free, heard, claimed, revisions. ARGV: index seconds to live, munit, revision, how many stations
-- it takes, last heard or ''.
note_munit(KEYS, ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[1])
return 1
