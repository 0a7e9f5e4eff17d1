{{- /* What several objects say alike. Names are fixed: values.yaml says why. */ -}}

{{- /* Labels of every object. Selectors have the first alone, as kustomize's: so both select the same Pods. */ -}}
{{- define "pratique.labels" -}}
app.kubernetes.io/name: pratique
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") | quote }}
{{- end }}

{{- /* By digest where there is one, whatever the tag says. */ -}}
{{- define "pratique.image" -}}
{{- $tag := .Values.image.tag -}}
{{- if not (or $tag .Values.image.digest) }}{{ $tag = .Chart.AppVersion }}{{ end -}}
{{- .Values.image.repository -}}
{{- with $tag }}:{{ . }}{{ end -}}
{{- with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{- /* The port of an address such as 0.0.0.0:8443 or [::]:8443. */ -}}
{{- define "pratique.port" -}}
{{- regexFind "[0-9]+$" . -}}
{{- end }}

{{- /* Namespaces that are never judged, as JSON: of the webhooks' selectors and of the settings. */ -}}
{{- define "pratique.exemptNamespaces" -}}
{{- concat (list "kube-system" .Release.Namespace) .Values.webhook.extraExemptNamespaces | uniq | toJson -}}
{{- end }}

{{- define "pratique.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "pratique.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Where our Secret and our Lease are, and who this replica is to the others. */ -}}
{{- define "pratique.identity" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}

{{- /* A token for an hour that ends with this Pod; the kubelet brings the next one in time, and it is read again. */ -}}
{{- define "pratique.apiAccess" -}}
- name: api-access
  projected:
    # 0440, written as a number that every YAML reader reads alike: our group (fsGroup) may read, nobody else.
    defaultMode: 288
    sources:
    - serviceAccountToken:
        path: token
        expirationSeconds: 3600
    - configMap:
        name: kube-root-ca.crt
        items:
        - key: ca.crt
          path: ca.crt
    - downwardAPI:
        items:
        - path: namespace
          fieldRef:
            fieldPath: metadata.namespace
{{- end }}
