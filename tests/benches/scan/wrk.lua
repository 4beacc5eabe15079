-- Asks for everything in a file, line by line, again and again: a path and what is accepted.

local requests = {}
local turn = 0

init = function(arguments)
   for line in io.lines(arguments[1]) do
      local path, accept = line:match("^(%S+) (.+)$")
      requests[#requests + 1] = wrk.format("GET", path, { ["Accept"] = accept })
   end
end

request = function()
   turn = turn % #requests + 1
   return requests[turn]
end
