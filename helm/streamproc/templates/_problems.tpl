{{/*
What is wrong with the values taken together, in words. The schema refuses what is wrong with one
value; here stand the rules between several, and those whose message a schema cannot give.
*/}}
{{- define "streamproc.refuse" -}}
{{- $problems := list -}}
{{- range $part := list "image" "kafka" "workload" "rules" "scaling" "monitoring" -}}
  {{- $problems = concat $problems (include (printf "streamproc.%sProblems" $part) $ | fromJsonArray) -}}
{{- end -}}
{{- if $problems -}}
  {{- printf "\n\nThe values cannot be used:\n  - %s\n" (join "\n  - " $problems) | fail -}}
{{- end -}}
{{- end -}}

{{- define "streamproc.imageProblems" -}}
{{- $problems := list -}}
{{- if not .Values.image.repository -}}
  {{- $problems = append $problems "image.repository is needed: where your registry has the image, as registry.example.com/soc/streamproc" -}}
{{- end -}}
{{- if and (eq .Values.image.tag "latest") (not .Values.image.digest) -}}
  {{- $problems = append $problems "image.tag is latest, which is another program tomorrow: name a version, or better image.digest" -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "streamproc.kafkaProblems" -}}
{{- $kafka := .Values.kafka -}}
{{- $protocol := $kafka.securityProtocol -}}
{{- $problems := list -}}
{{- if not $kafka.bootstrapServers -}}
  {{- $problems = append $problems "kafka.bootstrapServers is needed: host:port of your brokers, with commas between" -}}
{{- else -}}
  {{- range splitList "," $kafka.bootstrapServers -}}
    {{- if not (regexMatch "^([^\\s:/]+|\\[[0-9a-fA-F:.]+\\]):[0-9]{1,5}$" (trim .)) -}}
      {{- $problems = append $problems (printf "kafka.bootstrapServers: '%s' is not host:port; several have commas between, and none has a scheme" .) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if include "streamproc.usesSasl" . -}}
  {{- if not $kafka.sasl.existingSecret -}}
    {{- $problems = append $problems (printf "kafka.sasl.existingSecret is needed with kafka.securityProtocol %s: a Secret with the login" $protocol) -}}
  {{- end -}}
{{- else if or $kafka.sasl.existingSecret $kafka.sasl.username -}}
  {{- $problems = append $problems (printf "kafka.sasl has a login, but kafka.securityProtocol is %s: use SASL_SSL" $protocol) -}}
{{- end -}}
{{- if not (include "streamproc.usesTls" .) -}}
  {{- if $kafka.tls.existingSecret -}}
    {{- $problems = append $problems (printf "kafka.tls.existingSecret is given, but kafka.securityProtocol is %s: use SSL or SASL_SSL" $protocol) -}}
  {{- end -}}
{{- end -}}
{{- if ne (empty $kafka.tls.certificateKey) (empty $kafka.tls.privateKeyKey) -}}
  {{- $problems = append $problems "kafka.tls.certificateKey and kafka.tls.privateKeyKey go together: one of them is missing" -}}
{{- end -}}
{{- if and (not $kafka.tls.existingSecret) (or $kafka.tls.certificateKey $kafka.tls.privateKeyPasswordKey) -}}
  {{- $problems = append $problems "kafka.tls.existingSecret is needed: kafka.tls names keys of it" -}}
{{- end -}}
{{- if has .Values.topics.events (list .Values.topics.alerts .Values.topics.contextRequests .Values.topics.deadLetters) -}}
  {{- $problems = append $problems "topics.events must differ from the topics that are written: the workers would read their own alerts" -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "streamproc.workloadProblems" -}}
{{- $problems := list -}}
{{- $partitions := int .Values.topics.partitions -}}
{{- $owned := include "streamproc.variables" (dict "root" (dict "Values" (mergeOverwrite (deepCopy .Values) (dict "extraEnv" nil))) "rules" true "own" (dict "STREAMPROC_GROUP_INSTANCE_ID" "" "STREAMPROC_METRICS_HOST" "" "STREAMPROC_METRICS_PORT" "")) | fromYaml -}}
{{- range $name, $_ := .Values.extraEnv -}}
  {{- if hasKey $owned $name -}}
    {{- $problems = append $problems (printf "extraEnv.%s is set by the chart already: change the value that it comes from" $name) -}}
  {{- end -}}
{{- end -}}
{{- range $name, $workload := include "streamproc.workloads" . | fromJson -}}
  {{- $place := ternary "workload" (printf "extraWorkloads.%s" $name) (eq $name "worker") -}}
  {{- if and (eq $workload.kind "Deployment") (eq $workload.membership "static") -}}
    {{- $problems = append $problems (printf "%s.membership is static in a Deployment, whose pods get new names: use kind StatefulSet, or dynamic" $place) -}}
  {{- end -}}
  {{- if gt (int (default 0 $workload.replicas)) $partitions -}}
    {{- $problems = append $problems (printf "%s.replicas is %d, but topics.partitions is %d: a worker without a partition is idle" $place (int $workload.replicas) $partitions) -}}
  {{- end -}}
{{- end -}}
{{- if hasKey .Values.extraWorkloads "worker" -}}
  {{- $problems = append $problems "extraWorkloads.worker has the name of the main workload: choose another" -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "streamproc.rulesProblems" -}}
{{- $problems := list -}}
{{- if not (include "streamproc.rulePaths" .) -}}
  {{- $problems = append $problems "there are no rules: set rules.shipped, rules.inline, rules.configMaps or rules.paths" -}}
{{- end -}}
{{- if gt (len (toJson .Values.rules.inline)) 1000000 -}}
  {{- $problems = append $problems "rules.inline is larger than a ConfigMap can be (1 MiB): use several rules.configMaps, a container that fetches them, or the image" -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "streamproc.scalingProblems" -}}
{{- $keda := .Values.keda -}}
{{- $problems := list -}}
{{- $partitions := int .Values.topics.partitions -}}
{{- if and $keda.enabled .Values.autoscaling.enabled -}}
  {{- $problems = append $problems "keda.enabled and autoscaling.enabled: two autoscalers would fight over the number of workers; choose one" -}}
{{- end -}}
{{- range $name := list "keda" "autoscaling" -}}
  {{- $scaler := get $.Values $name -}}
  {{- if $scaler.enabled -}}
    {{- if gt (int $scaler.minReplicas) (int $scaler.maxReplicas) -}}
      {{- $problems = append $problems (printf "%s.minReplicas is more than %s.maxReplicas" $name $name) -}}
    {{- end -}}
    {{- if gt (int $scaler.maxReplicas) $partitions -}}
      {{- $problems = append $problems (printf "%s.maxReplicas is %d, but topics.partitions is %d: a worker without a partition is idle" $name (int $scaler.maxReplicas) $partitions) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $usesCpu := or .Values.autoscaling.enabled (and $keda.enabled (gt (int $keda.cpuUtilization) 0)) -}}
{{- if and $usesCpu (not (dig "requests" "cpu" "" .Values.resources)) -}}
  {{- $problems = append $problems "resources.requests.cpu is needed: the autoscaler goes by the share of it that is used" -}}
{{- end -}}
{{- if $keda.enabled -}}
  {{- $session := int (default 45 .Values.settings.session_timeout_s) -}}
  {{- if and (eq (include "streamproc.membership" .Values.workload) "static") (le (int $keda.maxLagSeconds) $session) -}}
    {{- $problems = append $problems (printf "keda.maxLagSeconds is %d: it must be more than the session timeout (%d s), for which the partitions of a worker that was scaled away are idle" (int $keda.maxLagSeconds) $session) -}}
  {{- end -}}
  {{- if or (lt (int $keda.fallback.replicas) (int $keda.minReplicas)) (gt (int $keda.fallback.replicas) (int $keda.maxReplicas)) -}}
    {{- $problems = append $problems "keda.fallback.replicas must be keda.minReplicas to keda.maxReplicas" -}}
  {{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "streamproc.monitoringProblems" -}}
{{- $problems := list -}}
{{- if .Values.checkApis -}}
  {{- range $wanted := list (list "keda.enabled" .Values.keda.enabled "keda.sh/v1alpha1" "KEDA") (list "podMonitor.enabled" .Values.podMonitor.enabled "monitoring.coreos.com/v1" "the Prometheus operator") (list "prometheusRule.enabled" .Values.prometheusRule.enabled "monitoring.coreos.com/v1" "the Prometheus operator") -}}
    {{- if and (index $wanted 1) (not ($.Capabilities.APIVersions.Has (index $wanted 2))) -}}
      {{- $problems = append $problems (printf "%s: the cluster does not know %s; install %s first (helm template: --api-versions %s, or checkApis=false)" (index $wanted 0) (index $wanted 2) (index $wanted 3) (index $wanted 2)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.prometheusRule.enabled (not (.Files.Glob "alerts/*.yaml")) -}}
  {{- $problems = append $problems "prometheusRule.enabled: this chart has no files in alerts/ to make a PrometheusRule of" -}}
{{- end -}}
{{- if and .Values.dashboards.enabled (not (.Files.Glob "dashboards/*.json")) -}}
  {{- $problems = append $problems "dashboards.enabled: this chart has no files in dashboards/ to make ConfigMaps of" -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}
