{{- /* Name of every object. */ -}}
{{- define "ws-gateway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* What a selector needs; never changes in the life of a release. */ -}}
{{- define "ws-gateway.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ws-gateway.labels" -}}
{{ include "ws-gateway.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "ws-gateway.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "ws-gateway.secretName" -}}
{{ default (include "ws-gateway.fullname" .) .Values.secret.existingSecret }}
{{- end -}}

{{- /* The variables that the Secret holds, as a YAML list. */ -}}
{{- define "ws-gateway.secretKeys" -}}
{{- if .Values.secret.existingSecret -}}
{{ toYaml .Values.secret.existingKeys }}
{{- else -}}
{{- $keys := list "ADMIN_TOKEN" -}}
{{- range $name, $value := .Values.secret.values -}}
{{- if $value -}}{{- $keys = append $keys $name -}}{{- end -}}
{{- end -}}
{{ toYaml ($keys | uniq) }}
{{- end -}}
{{- end -}}

{{- /* A variable as the gateway reads it: numbers without an exponent. */ -}}
{{- define "ws-gateway.text" -}}
{{- ternary . (toJson .) (kindIs "string" .) -}}
{{- end -}}

{{- /* Seconds that a variable of `config` says, or the gateway's default: dict "config" "name" "default". */ -}}
{{- define "ws-gateway.seconds" -}}
{{- $given := get .config .name -}}
{{- if or (kindIs "invalid" $given) (eq (toString $given | trim) "") -}}{{ .default }}{{- else -}}{{ $given }}{{- end -}}
{{- end -}}

{{- /* Whole seconds between SIGTERM and SIGKILL: all of the gateway's own shutdown, and some more. */ -}}
{{- define "ws-gateway.gracePeriodSeconds" -}}
{{- $drain := include "ws-gateway.seconds" (dict "config" .Values.config "name" "GRACEFUL_DRAIN_TIMEOUT_SECONDS" "default" 30) -}}
{{- $limit := include "ws-gateway.seconds" (dict "config" .Values.config "name" "SHUTDOWN_HARD_LIMIT" "default" 5) -}}
{{- add (ceil (float64 $drain)) (ceil (float64 $limit)) .Values.shutdownSlackSeconds -}}
{{- end -}}

{{- /* The port of the gateway's own endpoints; empty: they are on the clients'. */ -}}
{{- define "ws-gateway.adminPort" -}}
{{- with .Values.config.ADMIN_PORT -}}{{ include "ws-gateway.text" . }}{{- end -}}
{{- end -}}

{{- /* The name of the port that probes and scrapes go to. */ -}}
{{- define "ws-gateway.adminPortName" -}}
{{- ternary "admin" "http" (ne (include "ws-gateway.adminPort" .) "") -}}
{{- end -}}

{{- /* Refuses combinations of values that would run, but not as they should. */ -}}
{{- define "ws-gateway.check" -}}
{{- $keys := fromYamlArray (include "ws-gateway.secretKeys" .) -}}
{{- $several := or (gt (int .Values.replicaCount) 1) .Values.autoscaling.enabled -}}
{{- if and $several (not (has "REDIS_URL" $keys)) (not (has "POSTGRES_DSN" $keys)) -}}
{{- fail "several replicas need secret.values.REDIS_URL, or secret.existingSecret with a REDIS_URL: without it a token revoked on one stays valid on the others" -}}
{{- end -}}
{{- if or .Values.ingress.enabled .Values.httpRoute.enabled -}}
{{- $_ := required "config.INGRESS_HOST is needed with ingress or httpRoute" .Values.config.INGRESS_HOST -}}
{{- $_ := required "config.TRUSTED_PROXIES is needed with ingress or httpRoute: the CIDRs of the proxies' pods, without which all clients share one address and its limits" .Values.config.TRUSTED_PROXIES -}}
{{- end -}}
{{- if and (has "/" .Values.publicPaths) (not .Values.config.ADMIN_PORT) -}}
{{- fail "publicPaths: / needs config.ADMIN_PORT: without it /metrics and /admin would be in public" -}}
{{- end -}}
{{- if and .Values.config.ADMIN_HOST (not .Values.config.ADMIN_PORT) -}}
{{- fail "config.ADMIN_HOST is of no use without config.ADMIN_PORT" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) -}}
{{- fail "autoscaling.maxReplicas is less than autoscaling.minReplicas" -}}
{{- end -}}
{{- end -}}
