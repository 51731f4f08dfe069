local state = (obj.status or {}).state or {}
local phases = {
  Completed = "Healthy", Failed = "Degraded", Aborted = "Suspended",
  Terminated = "Degraded",
}
if state.phase == nil then
  return waiting
end
return {status = phases[state.phase] or "Progressing", message = state.message or state.phase}
