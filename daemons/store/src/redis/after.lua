-- KEYS: log, seq. ARGV: after which number or '' for the end, how many at most.
local newest = tonumber(redis.call('GET', KEYS[2]) or '0')
local from = tonumber(ARGV[1]) or newest
-- A number beyond the newest is of a log that is gone: all that is kept comes after it.
if from > newest then from = 0 end
local found = redis.call('XRANGE', KEYS[1], string.format('(%.0f-0', from), '+', 'COUNT', ARGV[2])
return { string.format('%.0f', from), found }
