local found = condition("Ready")
if found == nil or behind(found) then
  return waiting
end
if found.status == "True" then
  return answer("Healthy", found)
end
local failed = nil
for _, each in ipairs(obj.status.conditions) do
  if each.reason == "Stopped" then
    return answer("Suspended", each)
  end
  if each.status == "False" and (each.reason == "ProgressDeadlineExceeded"
      or each.type == "PresetsCombined") then
    failed = each
  end
end
if failed ~= nil then
  return answer("Degraded", failed)
end
return answer("Progressing", found)
