-- One exchange, whole or not at all: Redis runs nothing beside a script. The rules are those of memory.rs, line by line.
--
-- Needs Redis 6 or later, or Valkey: from 5 on a script's writes are what goes to replicas and the append-only file, so
-- that it may read the clock. All keys begin with KEYS[1]'s `{…}`, which a cluster keeps on one node. Numbers are
-- doubles; the caller keeps them within 2^53.
--
--   …mark         hash    epoch, settle_until
--   …replicas     hash    replica → session retired seq seen until   (`-` for none)
--   …b:<account>  hash    m → floor settle_until drop_at; r<replica> → spent slice need drop_at
--   …i:<replica>  set     accounts
--   …t:<key>      hash    level, at   (a bucket of tokens)
--   …s:<key>      hash    replica → slots until
local base = string.sub(KEYS[1], 1, -5)
local seats_key = base .. 'replicas'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local at = 0
local function text() at = at + 1; return ARGV[at] end
local function number() return tonumber(text()) end
local function int(value) return string.format('%.0f', value) end

local is_leaving = text() == 'leave'
local replica, session, seq, acked, lease = text(), text(), number(), number(), number()

-- The seat.
local SEAT = '^(%S+) (%S+) (%d+) (%d+) (%d+)$'
local seats = redis.call('HGETALL', seats_key)
local alive = {}
local alive_count = 1
local mine
for i = 1, #seats, 2 do
  local s, retired, known_seq, seen, til = string.match(seats[i + 1], SEAT)
  if seats[i] == replica then
    mine = { session = s, retired = retired, seq = tonumber(known_seq), til = tonumber(til) }
  elseif s ~= '-' and now < tonumber(til) then
    alive[seats[i]] = true
    alive_count = alive_count + 1
  elseif seq % 256 == 1 and now - tonumber(seen) > 7 * 86400000
      and redis.call('EXISTS', base .. 'i:' .. seats[i]) == 0 then
    redis.call('HDEL', seats_key, seats[i])
  end
end
mine = mine or { session = '-', retired = '-', seq = 0, til = 0 }
local known_seq = 0
local number_of = function(s) return tonumber(s) or 0 end
if number_of(session) <= number_of(mine.retired) then return { 'superseded' } end
if mine.session == session then
  known_seq = mine.seq
  if seq <= mine.seq then return { 'stale' } end
elseif mine.session ~= '-' then
  if now < mine.til then return { 'in_use', int(mine.til - now) } end
  if number_of(session) < number_of(mine.session) then return { 'superseded' } end
  mine.retired = mine.session
end
if is_leaving then
  redis.call('HSET', seats_key, replica, '- ' .. session .. ' ' .. int(seq) .. ' ' .. int(now) .. ' ' .. int(now))
else
  redis.call('HSET', seats_key, replica,
    session .. ' ' .. mine.retired .. ' ' .. int(seq) .. ' ' .. int(now) .. ' ' .. int(now + lease))
end

-- The mark.
local mark = redis.call('HMGET', KEYS[1], 'epoch', 'settle_until')
local epoch, settle_until = mark[1], tonumber(mark[2] or '0')
if not epoch or known_seq < acked then
  epoch = time[1] .. '.' .. time[2]
  settle_until = math.max(settle_until, now + lease)
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'settle_until', int(settle_until))
end
local is_settling = now < settle_until
local reply = { 'ok', epoch, is_settling and 1 or 0, alive_count }

-- Budgets.
local own_field = 'r' .. replica
local index = base .. 'i:' .. replica
local index_until = 0
local named = {}
for _ = 1, number() do
  local account, cap, spent, held, keep, need, want, elsewhere, forget =
    text(), number(), number(), number(), number(), number(), number(), number(), number()
  local key = base .. 'b:' .. account
  named[account] = true
  local floor, account_settle, account_drop = 0, 0, 0
  local own, own_text, meta_text
  local others_spent, others_slices, is_wanted_elsewhere = 0, 0, false
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local field, value = fields[i], fields[i + 1]
    if field == 'm' then
      meta_text = value
      local f, s, d = string.match(value, '^(%-?%d+) (%d+) (%d+)$')
      floor, account_settle, account_drop = tonumber(f), tonumber(s), tonumber(d)
    else
      local sp, sl, ne, dr = string.match(value, '^(%d+) (%d+) (%d+) (%d+)$')
      sp, sl, ne, dr = tonumber(sp), tonumber(sl), tonumber(ne), tonumber(dr)
      if dr <= now then
        redis.call('HDEL', key, field)
      elseif field == own_field then
        own, own_text = { spent = sp, drop = dr }, value
      else
        others_spent = others_spent + sp
        others_slices = others_slices + sl
        if ne > 0 and alive[string.sub(field, 2)] then is_wanted_elsewhere = true end
      end
    end
  end

  if not own and keep > 0 then account_settle = math.max(account_settle, now + lease) end
  local settles = is_settling or now < account_settle
  if own then spent = math.max(spent, own.spent) end
  floor = math.max(floor, spent + elsewhere)
  local total = math.max(floor, others_spent + spent)
  local room = cap - total - others_slices
  local is_met = need <= room - held
  local grant, unmet = keep, 0
  if not settles then
    local firm = is_met and held + need or held
    local spare = 0
    if not is_wanted_elsewhere and room > firm then spare = math.floor((room - firm) / (2 * alive_count)) end
    grant = math.max(firm, math.min(want, firm + spare))
    if not is_met and need <= cap - total - held then unmet = need end
  end

  -- An entry is written again only when it says something new: an idle account costs no write.
  local drop = now + forget
  if own and math.abs(drop - own.drop) < forget / 10 then drop = own.drop end
  local slice = math.max(grant, keep)
  if is_leaving then slice, unmet = math.min(slice, held), 0 end
  local new_text = int(spent) .. ' ' .. int(slice) .. ' ' .. int(unmet) .. ' ' .. int(drop)
  if new_text ~= own_text then redis.call('HSET', key, own_field, new_text) end
  local expiry = math.max(account_drop, drop)
  local new_meta = int(floor) .. ' ' .. int(account_settle) .. ' ' .. int(expiry)
  if new_meta ~= meta_text then redis.call('HSET', key, 'm', new_meta) end
  if expiry ~= account_drop then redis.call('PEXPIREAT', key, int(expiry)) end
  if not own then redis.call('SADD', index, account) end
  index_until = math.max(index_until, drop)

  reply[#reply + 1] = int(grant)
  reply[#reply + 1] = int(total - spent)
  reply[#reply + 1] = int(others_slices)
  reply[#reply + 1] = settles and 1 or 0
end
if index_until > 0 and redis.call('PTTL', index) < index_until - now then
  redis.call('PEXPIREAT', index, int(index_until))
end

-- Rates. A level counts in 1/60000 of a token.
for _ = 1, number() do
  local key, per_minute, burst, take, need = base .. 't:' .. text(), number(), number(), number(), number()
  local full = burst * 60000
  local bucket = redis.call('HMGET', key, 'level', 'at')
  local level = tonumber(bucket[1] or int(full))
  level = math.min(full, level + math.max(0, now - tonumber(bucket[2] or int(now))) * per_minute)
  local taken, wait = 0, 0
  local there = math.floor(level / 60000)
  if take < 0 then
    taken = take
    level = math.min(full, level - take * 60000)
  elseif there < need then
    if per_minute == 0 or need > burst then wait = -1
    else wait = math.ceil((need * 60000 - level) / per_minute) end
  else
    taken = math.min(math.max(take, need), there)
    level = level - taken * 60000
  end
  redis.call('HSET', key, 'level', int(level), 'at', int(now))
  -- Full again, it says nothing; one that never fills is kept for a month.
  local fills = per_minute == 0 and 30 * 86400000 or math.min(30 * 86400000, math.ceil(full / per_minute))
  redis.call('PEXPIRE', key, int(fills + 60000))
  reply[#reply + 1] = int(taken)
  reply[#reply + 1] = int(wait)
end

-- Places for calls in flight.
for _ = 1, number() do
  local key, max, used, keep, want = base .. 's:' .. text(), number(), number(), number(), number()
  local others = 0
  local longest = now + lease
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local count, til = string.match(fields[i + 1], '^(%d+) (%d+)$')
    til = tonumber(til)
    if til <= now then
      redis.call('HDEL', key, fields[i])
    elseif fields[i] ~= replica then
      others = others + tonumber(count)
      longest = math.max(longest, til)
    end
  end
  local slots = keep
  if not is_settling then slots = math.max(used, math.min(want, math.max(0, max - others))) end
  if is_leaving then
    redis.call('HDEL', key, replica)
  else
    redis.call('HSET', key, replica, int(math.max(slots, keep)) .. ' ' .. int(now + lease))
    redis.call('PEXPIREAT', key, int(longest))
  end
  reply[#reply + 1] = int(slots)
end

if is_leaving then
  -- Accounts that were not named: their slices return as well. Places that were not named end with the lease.
  for _, account in ipairs(redis.call('SMEMBERS', index)) do
    if not named[account] then
      local key = base .. 'b:' .. account
      local value = redis.call('HGET', key, own_field)
      local sp, dr
      if value then sp, dr = string.match(value, '^(%d+) %d+ %d+ (%d+)$') end
      if sp then redis.call('HSET', key, own_field, sp .. ' 0 0 ' .. dr) end
    end
  end
end
return reply
