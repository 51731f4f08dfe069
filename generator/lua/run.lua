if is("Failed", "True") then
  return answer("Degraded", condition("Failed"))
end
for _, kind in ipairs({"Complete", "Completed", "Succeeded"}) do
  if is(kind, "True") then
    return answer("Healthy", condition(kind))
  end
end
local suspended = condition("Suspended")
if suspended ~= nil and suspended.status == "True" and not behind(suspended) then
  return answer("Suspended", suspended)
end
if (obj.spec or {}).suspend == true or ((obj.spec or {}).runPolicy or {}).suspend == true then
  return {status = "Suspended", message = "it waits until something resumes it, such as Kueue"}
end
if obj.status == nil or obj.status.conditions == nil then
  return waiting
end
return {status = "Progressing", message = "it runs"}
