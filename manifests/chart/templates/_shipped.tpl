{{- /*
What no value changes is a copy, under files/, of what kustomize applies (a test compares the two): read, given the release's
namespace and our labels, and written as it is.

    include "pratique.shipped" (dict "root" $ "file" "base/role.yaml")
    include "pratique.shipped" (dict "root" $ "file" "base/role.yaml" "labels" (dict ...) "annotations" (dict ...))
*/ -}}
{{- define "pratique.shipped" -}}
{{- range $object := include "pratique.objects" . | fromJsonArray }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}

{{- /* The same as a list in JSON, for who changes something in it. */ -}}
{{- define "pratique.objects" -}}
{{- $root := .root -}}
{{- $annotations := .annotations | default dict -}}
{{- $objects := list -}}
{{- $text := $root.Files.Get (printf "files/%s" .file) | replace "pratique-system" $root.Release.Namespace -}}
{{- range $document := regexSplit "(?m)^---$" $text -1 -}}
{{- $object := fromYaml $document -}}
{{- if not (hasKey $object "kind") }}{{ fail (printf "files/%s of the chart is missing or damaged" $.file) }}{{ end -}}
{{- $metadata := $object.metadata -}}
{{- $_ := set $metadata "labels" (merge (dict) (include "pratique.labels" $root | fromYaml) ($.labels | default dict) ($metadata.labels | default dict)) -}}
{{- with merge (dict) $annotations ($metadata.annotations | default dict) }}{{ $_ := set $metadata "annotations" . }}{{ end -}}
{{- $objects = append $objects $object -}}
{{- end -}}
{{- toJson $objects -}}
{{- end }}
