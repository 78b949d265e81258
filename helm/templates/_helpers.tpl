{{- define "mirrorface.name" -}}
{{- if contains "mirrorface" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-mirrorface" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "mirrorface.selector" -}}
app.kubernetes.io/name: mirrorface
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "mirrorface.labels" -}}
{{ include "mirrorface.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Labels of what belongs to the release and is no server: its pods get no requests. */}}
{{- define "mirrorface.jobLabels" -}}
app.kubernetes.io/name: mirrorface
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "mirrorface.serviceAccount" -}}
{{ if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "mirrorface.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "mirrorface.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "mirrorface.bucket" -}}
{{- if not .Values.bucketName }}
{{- fail "bucketName is required: the Google Cloud Storage bucket with the mirrored repositories (or set storage.mode to pvc)" }}
{{- end }}
{{- .Values.bucketName }}
{{- end }}

{{- define "mirrorface.claim" -}}
{{ .Values.storage.pvc.existingClaim | default (include "mirrorface.name" .) }}
{{- end }}

{{- define "mirrorface.scheme" -}}
{{ if .Values.tls.secretName }}https{{ else }}http{{ end }}
{{- end }}

{{/* Where the server finds what is mirrored. */}}
{{- define "mirrorface.storageEnv" -}}
{{- if eq .Values.storage.mode "fuse" }}
- name: MIRRORFACE_GCS_MOUNT
  value: {{ regexReplaceAll "^[^/]+" (include "mirrorface.bucket" .) "/mnt/bucket" }}
{{- else }}
{{ include "mirrorface.writableStorageEnv" . }}
{{- end }}
{{- end }}

{{/* Where commands write to: a mount is read-only. */}}
{{- define "mirrorface.writableStorageEnv" -}}
{{- if eq .Values.storage.mode "pvc" -}}
- name: MIRRORFACE_LOCAL_DIRECTORY
  value: /data
{{- else -}}
- name: MIRRORFACE_GCS_BUCKET
  value: {{ include "mirrorface.bucket" . }}
{{- end }}
{{- end }}

{{/* A CronJob's pod that runs one command on the storage: (dict "root" $ "args" list "env" list "resources" map "volumes" list "mounts" list) */}}
{{- define "mirrorface.jobSpec" -}}
concurrencyPolicy: Forbid
successfulJobsHistoryLimit: 3
failedJobsHistoryLimit: 3
jobTemplate:
  spec:
    backoffLimit: 2
    template:
      metadata:
        labels:
          {{- include "mirrorface.jobLabels" .root | nindent 10 }}
          app.kubernetes.io/component: {{ .component }}
      spec:
        restartPolicy: OnFailure
        serviceAccountName: {{ include "mirrorface.serviceAccount" .root }}
        securityContext:
          {{- toYaml .root.Values.podSecurityContext | nindent 10 }}
        {{- with .root.Values.imagePullSecrets }}
        imagePullSecrets:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        containers:
          - name: {{ .component }}
            image: {{ include "mirrorface.image" .root }}
            imagePullPolicy: {{ .root.Values.image.pullPolicy }}
            args:
              {{- toYaml .args | nindent 14 }}
            env:
              {{- include "mirrorface.writableStorageEnv" .root | nindent 14 }}
              - name: MIRRORFACE_UPSTREAM_URL
                value: {{ .root.Values.upstream.url }}
              {{- with .tokenSecret }}
              - name: HF_TOKEN
                valueFrom:
                  secretKeyRef:
                    name: {{ . }}
                    key: token
              {{- end }}
            securityContext:
              {{- toYaml .root.Values.securityContext | nindent 14 }}
            resources:
              {{- toYaml .resources | nindent 14 }}
            volumeMounts:
              - name: tmp
                mountPath: /tmp
              {{- if eq .root.Values.storage.mode "pvc" }}
              - name: storage
                mountPath: /data
              {{- end }}
              {{- if .list }}
              - name: list
                mountPath: /etc/mirrorface
                readOnly: true
              {{- end }}
        volumes:
          - name: tmp
            emptyDir: {}
          {{- if eq .root.Values.storage.mode "pvc" }}
          - name: storage
            persistentVolumeClaim:
              claimName: {{ include "mirrorface.claim" .root }}
          {{- end }}
          {{- if .list }}
          - name: list
            configMap:
              name: {{ include "mirrorface.name" .root }}-repositories
          {{- end }}
{{- end }}
