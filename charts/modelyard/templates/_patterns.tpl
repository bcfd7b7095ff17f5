{{/*
Patterns of URIs, images and namespaces as regular expressions, for the expressions of policy.yaml. The operator makes the
same (uri_patterns.py) and says why they are made so; tests/integration/test_policy.py holds the two together.
*/}}

{{/* Letter by letter; one in brackets means itself, and both cases are spelled out. Takes text, any, folds. */}}
{{- define "modelyard.letters" -}}
{{- $out := "" -}}
{{- range $each := regexFindAll "." .text -1 -}}
{{- if eq $each "*" -}}
{{- $out = print $out $.any -}}
{{- else if and $.folds (regexMatch "^[a-zA-Z]$" $each) -}}
{{- $out = printf "%s[%s%s]" $out (lower $each) (upper $each) -}}
{{- else -}}
{{- $out = printf "%s[%s]" $out $each -}}
{{- end -}}
{{- end -}}
{{- $out -}}
{{- end }}

{{- define "modelyard.below" -}}
{{- if hasSuffix "/" . -}}.*{{- end -}}
{{- end }}

{{/* Takes a pattern of URIs. */}}
{{- define "modelyard.uriExpression" -}}
{{- $ports := dict "http" ":80" "https" ":443" -}}
{{- $scheme := regexFind "^[^:]*" . -}}
{{- $rest := trimPrefix (print $scheme ":") . -}}
{{- $out := print "^" (include "modelyard.letters" (dict "text" $scheme "any" "" "folds" true)) ":" -}}
{{- $path := trimPrefix "//" $rest -}}
{{- if not (has $scheme (list "file" "runs")) -}}
{{- $host := regexFind "^[^/]*" (trimPrefix "//" $rest) -}}
{{- $path = trimPrefix (print "//" $host) $rest -}}
{{- $port := get $ports $scheme -}}
{{- with $port -}}{{- $host = trimSuffix . $host -}}{{- end -}}
{{- $folds := has $scheme (list "http" "https" "oci" "oci+volume") -}}
{{- $out = print $out "//" (include "modelyard.letters" (dict "text" $host "any" "[A-Za-z0-9._-]*" "folds" $folds)) -}}
{{- if and $port (not (regexMatch ":[0-9*]+$" $host)) -}}{{- $out = print $out "[.]?(" $port ")?" -}}{{- end -}}
{{- else -}}
{{- $out = print $out "(//(localhost)?)?" -}}
{{- end -}}
{{- $out -}}
{{- include "modelyard.letters" (dict "text" $path "any" "[^/?#]*" "folds" false) -}}
{{- include "modelyard.below" . -}}
$
{{- end }}

{{/* Takes a pattern of images. */}}
{{- define "modelyard.imageExpression" -}}
^{{- include "modelyard.letters" (dict "text" . "any" "[^/]*" "folds" false) -}}{{- include "modelyard.below" . -}}$
{{- end }}

{{/* What says whether a pattern covers the namespace of a request. */}}
{{- define "modelyard.covers" -}}
request.namespace.matches(r'^{{- include "modelyard.letters" (dict "text" . "any" "[a-z0-9-]*" "folds" false) -}}$')
{{- end }}

{{/* What says whether a rule holds there: its value is true, false or a list of namespace patterns. */}}
{{- define "modelyard.applies" -}}
{{- if kindIs "bool" . -}}{{- . -}}{{- else if not . -}}false{{- else -}}
({{- range $index, $each := . -}}{{- if $index }} || {{ end -}}{{- include "modelyard.covers" $each -}}{{- end -}})
{{- end -}}
{{- end }}

{{/* What gives everything that is listed for a namespace. Takes of: namespace pattern -> list; uris: as expressions? */}}
{{- define "modelyard.listed" -}}
{{- $parts := list -}}
{{- range $pattern, $listed := .of -}}
{{- $quoted := list -}}
{{- range $each := $listed -}}
{{- $text := $each -}}{{- if $.expressions -}}{{- $text = include "modelyard.uriExpression" $each -}}{{- end -}}
{{- $quoted = append $quoted (printf "r'%s'" $text) -}}
{{- end -}}
{{- if $quoted -}}
{{- $parts = append $parts (printf "(%s ? [%s] : [])" (include "modelyard.covers" $pattern) (join ", " $quoted)) -}}
{{- end -}}
{{- end -}}
{{- join " + " $parts | default "[''].filter(each, false)" -}}
{{- end }}
