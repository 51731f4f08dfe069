local found = condition("Active")
if ((obj.spec or {}).stopPolicy or "None") ~= "None" then
  return {status = "Suspended", message = "stopPolicy is " .. obj.spec.stopPolicy}
end
if found == nil or behind(found) then
  return waiting
end
if found.status == "True" then
  return answer("Healthy", found)
end
if found.reason == "Stopped" then
  return answer("Suspended", found)
end
if found.status == "Unknown" then
  return answer("Progressing", found)
end
return answer("Degraded", found)
