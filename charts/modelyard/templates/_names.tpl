{{/* Labels that select the operator's pods; immutable, so only the identity. */}}
{{- define "modelyard.selectorLabels" -}}
app.kubernetes.io/name: modelyard-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of everything in this chart. */}}
{{- define "modelyard.labels" -}}
{{ include "modelyard.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: modelyard
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Name of the operator's own objects: two releases in one cluster do not collide. */}}
{{- define "modelyard.operatorName" -}}
{{- if eq .Release.Name "modelyard" -}}modelyard-operator{{- else -}}{{ printf "%s-modelyard-operator" .Release.Name | trunc 63 | trimSuffix "-" }}{{- end -}}
{{- end }}

{{- define "modelyard.operatorImage" -}}
{{- with .Values.operator.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end }}

{{/* The catalogue of runtime classes as the operator reads it: JSON. Only the default class has an image by itself; a class
     without one is not offered. */}}
{{- define "modelyard.runtimeClasses" -}}
{{- $classes := dict -}}
{{- range $name, $class := .Values.runtimeClasses -}}
{{- $image := $class.image -}}
{{- if eq $name "default" -}}{{- $image = $image | default (printf "modelyard/runtime:%s" $.Chart.AppVersion) -}}{{- end -}}
{{- if $image -}}
{{- $formats := $class.formats | default list -}}
{{- $made := dict "image" $image "formats" $formats "allowCode" ($class.allowCode | default false) -}}
{{- range $key := list "accessLog" "otlpEndpoint" "serviceAccountName" "podLabels" -}}
{{- with get $class $key -}}{{- $_ := set $made $key . -}}{{- end -}}
{{- end -}}
{{- $pulls := list -}}
{{- range $class.imagePullSecrets -}}{{- $pulls = append $pulls .name -}}{{- end -}}
{{- with $pulls -}}{{- $_ := set $made "imagePullSecrets" . -}}{{- end -}}
{{- $_ := set $classes $name $made -}}
{{- end -}}
{{- end -}}
{{ $classes | toJson }}
{{- end }}

{{/* The administrator's rules as the operator reads them: JSON. */}}
{{- define "modelyard.policy" -}}
{{ omit .Values.policy "admission" "fenceOperator" | toJson }}
{{- end }}
