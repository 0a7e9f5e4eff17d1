{{- /*
The settings file, as the values have it and with what the chart knows better. A null of the user is gone from the values by now,
so what may be null is written as null where it is missing: the program's own defaults would count otherwise.
*/ -}}
{{- define "pratique.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $defaults := $settings.defaults | default dict -}}
{{- range list "enforce" "warn" "audit" -}}
{{- if not (get $defaults .) }}{{ $_ := set $defaults . nil }}{{ end -}}
{{- end -}}
{{- range list "floor" "platforms" -}}
{{- if not (get $settings .) }}{{ $_ := set $settings . nil }}{{ end -}}
{{- end -}}
{{- /* To enforce, and nobody said by what. */ -}}
{{- if and (eq .Values.enforcement "enforce") (not $defaults.enforce) (not $settings.floor) -}}
{{- $_ := set $defaults "enforce" "baseline" -}}
{{- end -}}
{{- $_ := set $settings "defaults" $defaults -}}
{{- if not $settings.workloads }}{{ $_ := unset $settings "workloads" }}{{ end -}}
{{- $_ := set $settings "exemptNamespaces" (include "pratique.exemptNamespaces" . | fromJsonArray) -}}
# The settings file of `pratique serve`, written by helm: `settings` in the values of the chart.
{{ toYaml $settings }}
{{- end }}
