local finished = condition("Finished")
if is("Finished", "True") then
  if finished.reason == "Failed" then
    return answer("Degraded", finished)
  end
  return answer("Healthy", finished)
end
if is("Admitted", "True") then
  return answer("Healthy", condition("Admitted"))
end
if (obj.spec or {}).active == false then
  return {status = "Suspended", message = "it is not active"}
end
local quota = condition("QuotaReserved")
if quota == nil then
  return waiting
end
if quota.status == "False" and (quota.reason == "Inadmissible" or quota.reason == "Misconfigured") then
  return answer("Degraded", quota)
end
return answer("Suspended", quota)
