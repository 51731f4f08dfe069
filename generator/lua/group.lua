local found = condition("Available")
if found == nil or behind(found) then
  return waiting
end
if found.status == "True" and not is("UpdateInProgress", "True") then
  return answer("Healthy", found)
end
return answer("Progressing", condition("Progressing") or found)
