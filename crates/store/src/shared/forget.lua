-- A replica that is gone for good gives back what its slices hold. Keys as in exchange.lua. Its places end with its lease.
local base = string.sub(KEYS[1], 1, -5)
local replica = ARGV[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local value = redis.call('HGET', base .. 'replicas', replica)
if not value then return { 'unknown' } end
local session, retired, seq, seen, til = string.match(value, '^(%S+) (%S+) (%d+) (%d+) (%d+)$')
if session ~= '-' then
  if now < tonumber(til) then return { 'in_use', string.format('%.0f', tonumber(til) - now) } end
  retired = session
end
redis.call('HSET', base .. 'replicas', replica, '- ' .. retired .. ' ' .. seq .. ' ' .. seen .. ' ' .. til)
for _, account in ipairs(redis.call('SMEMBERS', base .. 'i:' .. replica)) do
  local key = base .. 'b:' .. account
  local entry = redis.call('HGET', key, 'r' .. replica)
  local sp, dr
  if entry then sp, dr = string.match(entry, '^(%d+) %d+ %d+ (%d+)$') end
  if sp then redis.call('HSET', key, 'r' .. replica, sp .. ' 0 0 ' .. dr) end
end
return { 'ok' }
