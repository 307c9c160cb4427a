-- wrk's part: POST /session/cookies, each time as the next of many signed-in people.
-- Arguments: the file of tokens, and the service's host. Prints one line of JSON at the end.

local requests, at = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local claims, access_token = line:match("^(%S+) (%S+)$")
    requests[#requests + 1] = wrk.format("POST", "/session/cookies", {
      ["Host"] = arguments[2],
      ["Content-Length"] = "0",
      ["X-Amzn-Oidc-Data"] = claims,
      ["X-Amzn-Oidc-Accesstoken"] = access_token,
      ["X-Forwarded-For"] = "192.0.2." .. (#requests % 250 + 1),
    })
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"seconds":%.6f,"requests":%d,"bytes":%d,"p50_us":%d,"p99_us":%d,"failed":%d}\n',
    summary.duration / 1e6, summary.requests, summary.bytes,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
