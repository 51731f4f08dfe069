local function condition(kind)
  for _, each in ipairs((obj.status or {}).conditions or {}) do
    if each.type == kind then
      return each
    end
  end
  return nil
end

local function is(kind, status)
  local found = condition(kind)
  return found ~= nil and found.status == status
end

local function answer(status, found)
  local message = ""
  if found ~= nil then
    message = found.message or found.reason or ""
  end
  return {status = status, message = message}
end

local function behind(found)
  local seen = (obj.status or {}).observedGeneration
  if found ~= nil and found.observedGeneration ~= nil then
    seen = found.observedGeneration
  end
  local wanted = (obj.metadata or {}).generation
  return seen ~= nil and wanted ~= nil and seen < wanted
end

local waiting = {status = "Progressing", message = "the controller has not looked at it yet"}
if (obj.metadata or {}).deletionTimestamp ~= nil then
  return {status = "Progressing", message = "it is being deleted"}
end
