-- One request of the benchmark: a random key among as many as the arguments say.
-- wrk -s wrk.lua URL -- put|range KEY_COUNT VALUE HEADER VALUE …

local alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

local function base64(text)
  local parts = {}
  for at = 1, #text, 3 do
    local a, b, c = text:byte(at, at + 2)
    local bits = a * 65536 + (b or 0) * 256 + (c or 0)
    for shift = 0, 3 do
      if (shift == 2 and not b) or (shift == 3 and not c) then
        parts[#parts + 1] = '='
      else
        local six = math.floor(bits / 64 ^ (3 - shift)) % 64
        parts[#parts + 1] = alphabet:sub(six + 1, six + 1)
      end
    end
  end
  return table.concat(parts)
end

local requests = {}
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set('seed', threads)
end

function init(arguments)
  math.randomseed(os.time() + seed)
  local headers = { ['Content-Type'] = 'application/json' }
  for at = 4, #arguments, 2 do headers[arguments[at]] = arguments[at + 1] end
  for index = 0, tonumber(arguments[2]) - 1 do
    local key = base64(string.format('bench/%06d', index))
    local body = arguments[1] == 'put'
      and string.format('{"key":"%s","value":"%s"}', key, arguments[3])
      or string.format('{"key":"%s"}', key)
    requests[index + 1] = wrk.format('POST', nil, headers, body)
  end
end

function request()
  return requests[math.random(#requests)]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"refused":%d,"broken":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50), latency:percentile(99)))
end
