{{/*
The program's settings as environment variables, and the files that some of them name.
*/}}

{{/* Text of a value: whole numbers as such, for YAML makes 1e+06 of a million. */}}
{{- define "streamproc.text" -}}
{{- if kindIs "float64" . -}}
  {{- if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- else if or (kindIs "map" .) (kindIs "slice" .) -}}
  {{- toJson . -}}
{{- else -}}
  {{- . -}}
{{- end -}}
{{- end -}}

{{- define "streamproc.usesSasl" -}}
{{- if hasPrefix "SASL_" .Values.kafka.securityProtocol }}true{{ end -}}
{{- end -}}

{{- define "streamproc.usesTls" -}}
{{- if hasSuffix "SSL" .Values.kafka.securityProtocol }}true{{ end -}}
{{- end -}}

{{/* Variables that every pod needs to reach Kafka, name to text. */}}
{{- define "streamproc.kafkaVariables" -}}
{{- $kafka := .Values.kafka -}}
STREAMPROC_BOOTSTRAP_SERVERS: {{ $kafka.bootstrapServers | quote }}
STREAMPROC_GROUP_ID: {{ $kafka.groupId | quote }}
STREAMPROC_CLIENT_ID: {{ $kafka.clientId | quote }}
STREAMPROC_SECURITY_PROTOCOL: {{ $kafka.securityProtocol }}
{{- if include "streamproc.usesSasl" . }}
STREAMPROC_SASL_MECHANISM: {{ $kafka.sasl.mechanism }}
STREAMPROC_SASL_PASSWORD_FILE: /etc/streamproc/sasl/password
{{- with $kafka.sasl.username }}
STREAMPROC_SASL_USERNAME: {{ . | quote }}
{{- end }}
{{- end }}
{{- if include "streamproc.usesTls" . }}
STREAMPROC_SSL_ENDPOINT_IDENTIFICATION: {{ $kafka.tls.endpointIdentification }}
{{- if $kafka.tls.existingSecret }}
{{- if $kafka.tls.caKey }}
STREAMPROC_SSL_CA_FILE: /etc/streamproc/tls/ca.crt
{{- end }}
{{- if $kafka.tls.certificateKey }}
STREAMPROC_SSL_CERTIFICATE_FILE: /etc/streamproc/tls/tls.crt
STREAMPROC_SSL_KEY_FILE: /etc/streamproc/tls/tls.key
{{- end }}
{{- if $kafka.tls.privateKeyPasswordKey }}
STREAMPROC_SSL_KEY_PASSWORD_FILE: /etc/streamproc/tls/tls.key.password
{{- end }}
{{- end }}
{{- end }}
{{- with $kafka.options }}
STREAMPROC_KAFKA_OPTIONS: {{ toJson . | quote }}
{{- end }}
STREAMPROC_EVENTS_TOPIC: {{ .Values.topics.events | quote }}
STREAMPROC_ALERTS_TOPIC: {{ .Values.topics.alerts | quote }}
STREAMPROC_CONTEXT_REQUESTS_TOPIC: {{ .Values.topics.contextRequests | quote }}
STREAMPROC_DEAD_LETTERS_TOPIC: {{ .Values.topics.deadLetters | quote }}
STREAMPROC_SEQUENCE_STATE_TOPIC: {{ .Values.topics.sequenceState | quote }}
STREAMPROC_AUTO_OFFSET_RESET: {{ .Values.topics.autoOffsetReset }}
{{- end -}}

{{/* Folders and files with rules, in the order in which they are read. */}}
{{- define "streamproc.rulePaths" -}}
{{- $paths := list -}}
{{- if .Values.rules.shipped -}}{{- $paths = append $paths "shipped" -}}{{- end -}}
{{- if .Values.rules.inline -}}{{- $paths = append $paths "/etc/streamproc/rules/inline" -}}{{- end -}}
{{- range $name, $used := .Values.rules.configMaps -}}
  {{- if $used -}}{{- $paths = append $paths (printf "/etc/streamproc/rules/maps/%s" $name) -}}{{- end -}}
{{- end -}}
{{- concat $paths .Values.rules.paths | join "," -}}
{{- end -}}

{{/*
The `env` list of a container: (dict "root" $ "variables" map). Variables of the chart come
first; one that extraEnv gives replaces none of them (see streamproc.workloadProblems).
*/}}
{{- define "streamproc.env" -}}
{{- range $name, $value := .variables }}
- name: {{ $name }}
{{- if kindIs "map" $value }}
  {{- toYaml $value | nindent 2 }}
{{- else }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
All variables of a pod as a map: (dict "root" $ "rules" bool "own" map). `own` wins over the
settings, extraEnv over nothing.
*/}}
{{- define "streamproc.variables" -}}
{{- $root := .root -}}
{{- $all := include "streamproc.kafkaVariables" $root | fromYaml -}}
{{- if and (include "streamproc.usesSasl" $root) (not $root.Values.kafka.sasl.username) -}}
  {{- $key := dict "name" $root.Values.kafka.sasl.existingSecret "key" $root.Values.kafka.sasl.usernameKey -}}
  {{- $_ := set $all "STREAMPROC_SASL_USERNAME" (dict "valueFrom" (dict "secretKeyRef" $key)) -}}
{{- end -}}
{{- range $name, $value := $root.Values.settings -}}
  {{- if not (kindIs "invalid" $value) -}}
    {{- $_ := set $all (printf "STREAMPROC_%s" (upper $name)) (include "streamproc.text" $value) -}}
  {{- end -}}
{{- end -}}
{{- if .rules -}}
  {{- $_ := set $all "STREAMPROC_RULES" (include "streamproc.rulePaths" $root) -}}
{{- end -}}
{{- range $name, $value := $root.Values.extraEnv -}}
  {{- $_ := set $all $name (ternary $value (include "streamproc.text" $value) (kindIs "map" $value)) -}}
{{- end -}}
{{- mergeOverwrite $all (default (dict) .own) | toYaml -}}
{{- end -}}

{{/* Volumes of a pod: (dict "root" $ "rules" bool). */}}
{{- define "streamproc.volumes" -}}
{{- $root := .root -}}
{{- $kafka := $root.Values.kafka -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ $root.Values.tmpSizeLimit }}
{{- if include "streamproc.usesSasl" $root }}
- name: sasl
  secret:
    secretName: {{ $kafka.sasl.existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ $kafka.sasl.passwordKey }}
        path: password
{{- end }}
{{- if and (include "streamproc.usesTls" $root) $kafka.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ $kafka.tls.existingSecret }}
    defaultMode: 0440
    items:
      {{- with $kafka.tls.caKey }}
      - key: {{ . }}
        path: ca.crt
      {{- end }}
      {{- if $kafka.tls.certificateKey }}
      - key: {{ $kafka.tls.certificateKey }}
        path: tls.crt
      - key: {{ $kafka.tls.privateKeyKey }}
        path: tls.key
      {{- end }}
      {{- with $kafka.tls.privateKeyPasswordKey }}
      - key: {{ . }}
        path: tls.key.password
      {{- end }}
{{- end }}
{{- if .rules }}
{{- if $root.Values.rules.inline }}
- name: rules-inline
  configMap:
    name: {{ include "streamproc.fullname" $root }}-rules
{{- end }}
{{- range $name, $used := $root.Values.rules.configMaps }}
{{- if $used }}
- name: {{ include "streamproc.ruleVolume" $name }}
  configMap:
    name: {{ $name }}
{{- end }}
{{- end }}
{{- range $name, $source := $root.Values.extraVolumes }}
- name: {{ $name }}
  {{- toYaml $source | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A volume's name has 63 characters and no dots, a ConfigMap's may have more of both. */}}
{{- define "streamproc.ruleVolume" -}}
rules-{{ . | replace "." "-" | trunc 40 | trimSuffix "-" }}-{{ sha256sum . | trunc 8 }}
{{- end -}}

{{/* Mounts of a container; whole folders, never a subPath, which would not follow a change. */}}
{{- define "streamproc.volumeMounts" -}}
{{- $root := .root -}}
- name: tmp
  mountPath: /tmp
{{- if include "streamproc.usesSasl" $root }}
- name: sasl
  mountPath: /etc/streamproc/sasl
  readOnly: true
{{- end }}
{{- if and (include "streamproc.usesTls" $root) $root.Values.kafka.tls.existingSecret }}
- name: tls
  mountPath: /etc/streamproc/tls
  readOnly: true
{{- end }}
{{- if .rules }}
{{- if $root.Values.rules.inline }}
- name: rules-inline
  mountPath: /etc/streamproc/rules/inline
  readOnly: true
{{- end }}
{{- range $name, $used := $root.Values.rules.configMaps }}
{{- if $used }}
- name: {{ include "streamproc.ruleVolume" $name }}
  mountPath: /etc/streamproc/rules/maps/{{ $name }}
  readOnly: true
{{- end }}
{{- end }}
{{- range $path, $mount := $root.Values.extraVolumeMounts }}
- mountPath: {{ $path }}
  {{- toYaml $mount | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
