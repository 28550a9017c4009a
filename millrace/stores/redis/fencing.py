"""The Lua scripts that give each partition one writer: claim, commit (step 4) and finish (step 7).

Fencing: `claim` puts its caller's token into the watermark hash; every later write names its token, and a write with
another one is refused. So a worker that lost a partition without noticing can no longer change anything.

Repetition: when the answer of a commit is lost, the client sends it again. A `state` watermark that already stands at
the commit's own end, under the same token, means that it was applied: nothing is done twice. The watermark is written
last, so that a script that fails halfway can be seen to have failed.

A Redis that went back (a failover, a host that lost its last second) may hold an older `state` under the same token.
A finish is refused then, as a commit is: `done` beyond `state` would pass over events that are applied nowhere.
"""

from millrace.stores.redis.scripts import Script

# Replies of COMMIT and FINISH.
APPLIED = 1
ALREADY_APPLIED = 2
NOT_OWNER = 0
MOVED = -1

# KEYS: watermark hash. ARGV: owner. Returns {state, done}.
CLAIM = Script(
    """
local mark = KEYS[1]
redis.call('HINCRBY', mark, 'epoch', 1)
redis.call('HSET', mark, 'owner', ARGV[1])
local at = redis.call('HMGET', mark, 'state', 'done')
return {at[1] or '-1', at[2] or '-1'}
"""
)

# KEYS: watermark hash, counters, live index, exploration, one live hash per grade, then per user its hash and its
#       touched string.
# ARGV: owner, expected state, new state, number of grades, number of counters, number of exploration counts;
#       per grade: index member, events, hits, ndcg, popularity_hits, popularity_ndcg;
#       per counter, then per exploration count: name, increment;
#       per user: count, value_sum, last_ts_ms, history, event_hashes, bytes to append to touched.
COMMIT = Script(
    """
local mark = redis.call('HMGET', KEYS[1], 'owner', 'state')
if mark[1] ~= ARGV[1] then return 0 end
local state = mark[2] or '-1'
if state == ARGV[3] then return 2 end
if state ~= ARGV[2] then return -1 end
local key, arg = 5, 7
for _ = 1, tonumber(ARGV[4]) do
  local live = KEYS[key]
  redis.call('SADD', KEYS[3], ARGV[arg])
  redis.call('HINCRBY', live, 'events', ARGV[arg + 1])
  redis.call('HINCRBY', live, 'hits', ARGV[arg + 2])
  redis.call('HINCRBYFLOAT', live, 'ndcg', ARGV[arg + 3])
  redis.call('HINCRBY', live, 'popularity_hits', ARGV[arg + 4])
  redis.call('HINCRBYFLOAT', live, 'popularity_ndcg', ARGV[arg + 5])
  key, arg = key + 1, arg + 6
end
for _ = 1, tonumber(ARGV[5]) do
  redis.call('HINCRBY', KEYS[2], ARGV[arg], ARGV[arg + 1])
  arg = arg + 2
end
for _ = 1, tonumber(ARGV[6]) do
  redis.call('HINCRBY', KEYS[4], ARGV[arg], ARGV[arg + 1])
  arg = arg + 2
end
while key < #KEYS do
  redis.call('HSET', KEYS[key], 'count', ARGV[arg], 'value_sum', ARGV[arg + 1], 'last_ts_ms', ARGV[arg + 2],
             'history', ARGV[arg + 3], 'event_hashes', ARGV[arg + 4])
  if ARGV[arg + 5] ~= '' then redis.call('APPEND', KEYS[key + 1], ARGV[arg + 5]) end
  key, arg = key + 2, arg + 6
end
redis.call('HSET', KEYS[1], 'state', ARGV[3])
return 1
"""
)

# KEYS: watermark hash, counters, exploration, then per served user its hash.
# ARGV: owner, done, number of counters, number of exploration counts; per counter, then per count: name, increment;
#       per user: served, proposals ('' keeps the old ones), record.
FINISH = Script(
    """
local mark = redis.call('HMGET', KEYS[1], 'owner', 'done', 'state')
if mark[1] ~= ARGV[1] then return 0 end
if tonumber(mark[2] or '-1') >= tonumber(ARGV[2]) then return 2 end
if tonumber(mark[3] or '-1') < tonumber(ARGV[2]) then return -1 end
local arg = 5
for _ = 1, tonumber(ARGV[3]) do
  redis.call('HINCRBY', KEYS[2], ARGV[arg], ARGV[arg + 1])
  arg = arg + 2
end
for _ = 1, tonumber(ARGV[4]) do
  redis.call('HINCRBY', KEYS[3], ARGV[arg], ARGV[arg + 1])
  arg = arg + 2
end
for key = 4, #KEYS do
  redis.call('HSET', KEYS[key], 'served', ARGV[arg], 'recommendation', ARGV[arg + 2])
  if ARGV[arg + 1] ~= '' then redis.call('HSET', KEYS[key], 'proposals', ARGV[arg + 1]) end
  arg = arg + 3
end
redis.call('HSET', KEYS[1], 'done', ARGV[2])
return 1
"""
)
