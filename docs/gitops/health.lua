-- The health of a ModelDeployment for Argo CD: resource.customizations.health.modelyard.dev_ModelDeployment.
-- How to install it, and why it says what it says: docs/gitops.md.

local function answer(status, message)
  return { status = status, message = message }
end

local status = obj.status or {}
if obj.metadata.deletionTimestamp then
  return answer("Progressing", "Being deleted.")
end
-- A status about an earlier spec says nothing about this one, neither good nor bad. Until the operator's first
-- visit it is the CRD's default, -1.
if status.observedGeneration ~= obj.metadata.generation then
  return answer("Progressing", "The operator has not seen this spec yet.")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready = conditions.Ready
local stalled = conditions.Stalled

-- Only a True counts: neither Reconciling nor Stalled is bad news when it is False or absent.
if stalled and stalled.status == "True" then
  return answer("Degraded", stalled.reason .. ": " .. stalled.message)
end
if not ready then
  return answer("Progressing", "The operator has not said yet whether it is ready.")
end
if ready.status == "True" then
  return answer("Healthy", ready.message)
end
if ready.reason == "Paused" then
  return answer("Suspended", ready.message)
end
return answer("Progressing", ready.reason .. ": " .. ready.message)
