local found = condition("Ready")
if is("Stopped", "True") then
  return answer("Suspended", condition("Stopped"))
end
if found == nil or behind(found) then
  return waiting
end
if found.status == "True" then
  return answer("Healthy", found)
end
if found.status == "False" and found.severity ~= "Info" then
  return answer("Degraded", found)
end
return answer("Progressing", found)
