{{/* Whether the user may pass the guards: the same question in every policy. Cluster administrators hold every verb. */}}
{{- define "portcullis.mayPassGuards" -}}
authorizer.group("admissionregistration.k8s.io").resource("validatingwebhookconfigurations").name("portcullis").check("guard").allowed()
{{- end }}
