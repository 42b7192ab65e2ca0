{{/*
Names, labels and the image: what every object of the release has in common.
*/}}

{{- define "streamproc.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 36 | trimSuffix "-" -}}
{{- end -}}

{{/*
At most 36 characters. A StatefulSet's name may have 52, for Kubernetes makes a label of it and a
hash, and the chart appends up to 16. A name that is cut ends in a hash of the whole: two long
release names must not become one.
*/}}
{{- define "streamproc.fullname" -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
  {{- $name := default .Chart.Name .Values.nameOverride -}}
  {{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- end -}}
{{- if gt (len $full) 36 -}}
  {{- printf "%s-%s" ($full | trunc 27 | trimSuffix "-") (sha256sum $full | trunc 8) -}}
{{- else -}}
  {{- $full -}}
{{- end -}}
{{- end -}}

{{/* Name of a workload: (dict "root" $ "component" "worker"). The main one has no suffix. */}}
{{- define "streamproc.workloadName" -}}
{{- include "streamproc.fullname" .root -}}
{{- if ne .component "worker" -}}-{{ .component }}{{- end -}}
{{- end -}}

{{- define "streamproc.selectorLabels" -}}
app.kubernetes.io/name: {{ include "streamproc.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of an object: (dict "root" $ "component" "worker" "extra" map). */}}
{{- define "streamproc.labels" -}}
{{- $own := include "streamproc.ownLabels" . | fromYaml -}}
{{- mergeOverwrite (dict) .root.Values.commonLabels (default (dict) .extra) $own | toYaml -}}
{{- end -}}

{{- define "streamproc.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "streamproc.selectorLabels" .root }}
app.kubernetes.io/version: {{ include "streamproc.version" .root | quote }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: streamproc
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{/*
Labels of a pod, as of an object. Without the chart's version and Helm's name: pods are not to be
replaced because the chart was packed anew.
*/}}
{{- define "streamproc.podLabels" -}}
{{- omit (include "streamproc.labels" . | fromYaml) "helm.sh/chart" "app.kubernetes.io/managed-by" | toYaml -}}
{{- end -}}

{{/* What may stand in a label: a tag can hold nothing else, an appVersion could. */}}
{{- define "streamproc.version" -}}
{{- default .Chart.AppVersion .Values.image.tag | replace "+" "_" | trunc 63 | trimAll "-_." -}}
{{- end -}}

{{/* Metadata of an object: (dict "root" $ "name" n "component" c "labels" map "annotations" map). */}}
{{- define "streamproc.metadata" -}}
name: {{ .name }}
namespace: {{ default .root.Release.Namespace .namespace }}
labels:
  {{- include "streamproc.labels" (dict "root" .root "component" .component "extra" .labels) | nindent 2 }}
{{- with mergeOverwrite (dict) .root.Values.commonAnnotations (default (dict) .annotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "streamproc.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest -}}
@{{ .Values.image.digest }}
{{- else -}}
:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "streamproc.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "streamproc.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "streamproc.hasAutoscaler" -}}
{{- if or .Values.keda.enabled .Values.autoscaling.enabled }}true{{ end -}}
{{- end -}}
