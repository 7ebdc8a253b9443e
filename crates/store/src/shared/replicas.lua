-- Replicas with what they hold: id, milliseconds since seen, alive, accounts, slices. Keys as in exchange.lua.
local base = string.sub(KEYS[1], 1, -5)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local reply = {}
local seats = redis.call('HGETALL', base .. 'replicas')
for i = 1, #seats, 2 do
  local session, seen, til = string.match(seats[i + 1], '^(%S+) %S+ %d+ (%d+) (%d+)$')
  local index = base .. 'i:' .. seats[i]
  local accounts, slices = 0, 0
  for _, account in ipairs(redis.call('SMEMBERS', index)) do
    local entry = redis.call('HGET', base .. 'b:' .. account, 'r' .. seats[i])
    local sl, dr
    if entry then sl, dr = string.match(entry, '^%d+ (%d+) %d+ (%d+)$') end
    if not sl or tonumber(dr) <= now then
      redis.call('SREM', index, account)
    elseif tonumber(sl) > 0 then
      accounts = accounts + 1
      slices = slices + tonumber(sl)
    end
  end
  local is_alive = session ~= '-' and now < tonumber(til)
  if is_alive or accounts > 0 then
    reply[#reply + 1] = seats[i]
    reply[#reply + 1] = string.format('%.0f', math.max(0, now - tonumber(seen)))
    reply[#reply + 1] = is_alive and 1 or 0
    reply[#reply + 1] = accounts
    reply[#reply + 1] = string.format('%.0f', slices)
  end
end
return reply
