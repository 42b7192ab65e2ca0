{{/*
The pod and the workload around it. A workload is a map:
  component   its name in labels, "worker" for the main one
  kind, membership, replicas (none when an autoscaler owns it), args, command, resources
  groupId     its consumer group
  env         variables of its own, name to text or {valueFrom: ...}
  hasMetrics  whether it serves the metrics port, and with it the probes
*/}}

{{/* static or dynamic; a Deployment's pod names change, so a static name would be new each time. */}}
{{- define "streamproc.membership" -}}
{{- if eq .membership "auto" -}}
{{- ternary "static" "dynamic" (eq .kind "StatefulSet") -}}
{{- else -}}
{{- .membership -}}
{{- end -}}
{{- end -}}

{{- define "streamproc.workload" -}}
{{- $root := .root -}}
{{- $workload := .workload -}}
{{- $name := include "streamproc.workloadName" (dict "root" $root "component" $workload.component) -}}
apiVersion: apps/v1
kind: {{ $workload.kind }}
metadata:
  {{- include "streamproc.metadata" (dict "root" $root "name" $name "component" $workload.component "annotations" $root.Values.workload.annotations) | nindent 2 }}
spec:
  {{- if not (kindIs "invalid" $workload.replicas) }}
  replicas: {{ $workload.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ $root.Values.workload.revisionHistoryLimit }}
  minReadySeconds: {{ $root.Values.workload.minReadySeconds }}
  selector:
    matchLabels:
      {{- include "streamproc.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ $workload.component }}
  {{- if eq $workload.kind "StatefulSet" }}
  serviceName: {{ $name }}
  # Workers know nothing of each other: all start at once, and are replaced one by one.
  podManagementPolicy: Parallel
  updateStrategy:
    type: RollingUpdate
  {{- else }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 0
      maxUnavailable: 1
  {{- end }}
  template:
    {{- include "streamproc.pod" . | nindent 4 }}
{{- end -}}

{{- define "streamproc.pod" -}}
{{- $root := .root -}}
{{- $workload := .workload -}}
{{- $labels := dict "root" $root "component" $workload.component "extra" $root.Values.podLabels -}}
{{- $annotations := deepCopy $root.Values.podAnnotations -}}
{{- if and $root.Values.rules.restartOnChange $root.Values.rules.inline -}}
  {{- $_ := set $annotations "checksum/rules" (toJson $root.Values.rules.inline | sha256sum) -}}
{{- end -}}
metadata:
  labels:
    {{- include "streamproc.podLabels" $labels | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "streamproc.podDefaults" $root | nindent 2 }}
  serviceAccountName: {{ include "streamproc.serviceAccountName" $root }}
  terminationGracePeriodSeconds: {{ $root.Values.workload.terminationGracePeriodSeconds }}
  {{- include "streamproc.spread" . | trim | nindent 2 }}
  {{- with $root.Values.extraInitContainers }}
  initContainers:
    {{- include "streamproc.extraContainers" . | trim | nindent 4 }}
  {{- end }}
  containers:
    - {{- include "streamproc.container" . | nindent 6 }}
    {{- with $root.Values.extraContainers }}
    {{- include "streamproc.extraContainers" . | trim | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "streamproc.volumes" (dict "root" $root "rules" true) | nindent 4 }}
{{- end -}}

{{- define "streamproc.container" -}}
{{- $root := .root -}}
{{- $workload := .workload -}}
{{- $own := dict "STREAMPROC_GROUP_ID" $workload.groupId -}}
{{- if eq (include "streamproc.membership" $workload) "static" -}}
  {{- $field := dict "fieldRef" (dict "apiVersion" "v1" "fieldPath" "metadata.name") -}}
  {{- $_ := set $own "STREAMPROC_GROUP_INSTANCE_ID" (dict "valueFrom" $field) -}}
{{- end -}}
{{- if $workload.hasMetrics -}}
  {{- $_ := set $own "STREAMPROC_METRICS_HOST" $root.Values.metrics.host -}}
  {{- $_ := set $own "STREAMPROC_METRICS_PORT" (include "streamproc.text" $root.Values.metrics.port) -}}
{{- else -}}
  {{- $_ := set $own "STREAMPROC_METRICS_PORT" "0" -}}
{{- end -}}
{{- range $name, $value := $workload.env -}}
  {{- $_ := set $own $name (ternary $value (include "streamproc.text" $value) (kindIs "map" $value)) -}}
{{- end -}}
{{- $variables := include "streamproc.variables" (dict "root" $root "rules" true "own" $own) | fromYaml -}}
name: {{ $workload.component }}
{{ include "streamproc.containerDefaults" $root }}
{{- with $workload.command }}
command:
  {{- toYaml . | nindent 2 }}
{{- end }}
args:
  {{- toYaml $workload.args | nindent 2 }}
env:
  {{- include "streamproc.env" (dict "variables" $variables) | trim | nindent 2 }}
{{- if $workload.hasMetrics }}
ports:
  - name: metrics
    containerPort: {{ $root.Values.metrics.port }}
    protocol: TCP
{{- include "streamproc.probe" (dict "name" "startupProbe" "path" "/livez" "probe" $root.Values.probes.startup) }}
{{- include "streamproc.probe" (dict "name" "livenessProbe" "path" "/livez" "probe" $root.Values.probes.liveness) }}
{{- include "streamproc.probe" (dict "name" "readinessProbe" "path" "/readyz" "probe" $root.Values.probes.readiness) }}
{{- end }}
resources:
  {{- toYaml $workload.resources | nindent 2 }}
volumeMounts:
  {{- include "streamproc.volumeMounts" (dict "root" $root "rules" true) | nindent 2 }}
{{- end -}}

{{- define "streamproc.probe" -}}
{{- if .probe.enabled }}
{{ .name }}:
  httpGet:
    path: {{ .path }}
    port: metrics
  periodSeconds: {{ .probe.periodSeconds }}
  timeoutSeconds: {{ .probe.timeoutSeconds }}
  failureThreshold: {{ .probe.failureThreshold }}
{{- end }}
{{- end -}}

{{/* Image, security and folder of every container of the program. */}}
{{- define "streamproc.containerDefaults" -}}
image: {{ include "streamproc.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
workingDir: /tmp
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}

{{/* What all pods have, those of jobs and tests included. */}}
{{- define "streamproc.podDefaults" -}}
automountServiceAccountToken: false
# Without it each Service of the namespace adds variables, some of them named STREAMPROC_...
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "streamproc.spread" -}}
{{- $root := .root -}}
{{- $component := .workload.component -}}
{{- $places := dict "zone" "topology.kubernetes.io/zone" "host" "kubernetes.io/hostname" -}}
{{- if $root.Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $root.Values.topologySpreadConstraints | nindent 2 }}
{{- else if or (ne $root.Values.topologySpread.zone "Off") (ne $root.Values.topologySpread.host "Off") }}
topologySpreadConstraints:
  {{- range $place := list "zone" "host" }}
  {{- $policy := get $root.Values.topologySpread $place }}
  {{- if ne $policy "Off" }}
  - maxSkew: 1
    topologyKey: {{ get $places $place }}
    whenUnsatisfiable: {{ $policy }}
    labelSelector:
      matchLabels:
        {{- include "streamproc.selectorLabels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $component }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "streamproc.extraContainers" -}}
{{- range $name, $container := . }}
- name: {{ $name }}
  {{- toYaml $container | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
All workloads of the release as a map of name to workload: the worker, and extraWorkloads with
what they leave out filled in.
*/}}
{{- define "streamproc.workloads" -}}
{{- $values := .Values -}}
{{- $worker := pick $values.workload "kind" "membership" "replicas" "args" "command" -}}
{{- $_ := set $worker "component" "worker" -}}
{{- $_ := set $worker "groupId" $values.kafka.groupId -}}
{{- $_ := set $worker "resources" $values.resources -}}
{{- $_ := set $worker "env" (dict) -}}
{{- $_ := set $worker "hasMetrics" true -}}
{{- if include "streamproc.hasAutoscaler" . -}}{{- $worker = omit $worker "replicas" -}}{{- end -}}
{{- $workloads := dict "worker" $worker -}}
{{- range $name, $given := $values.extraWorkloads -}}
  {{- $extra := dict "component" $name "kind" "Deployment" "membership" "auto" "replicas" 1 -}}
  {{- $_ := set $extra "groupId" (printf "%s-%s" $values.kafka.groupId $name) -}}
  {{- $_ := set $extra "resources" $values.resources -}}
  {{- $_ := set $extra "env" (dict) -}}
  {{- $_ := set $extra "hasMetrics" true -}}
  {{- $_ := set $workloads $name (mergeOverwrite (deepCopy $extra) (deepCopy $given)) -}}
{{- end -}}
{{- toJson $workloads -}}
{{- end -}}
